"""What the served version recommends to each user, for whoever reads it in SQL."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from movierec_assets.resources.warehouse.duckdb_file import DuckDBFile


class ServedLists(DuckDBFile):
    """The table `served_model`: the lists of one version."""

    def replace_served(self, version: int, lists: Iterable[pd.DataFrame]) -> int:
        """Make one version's recommendations the content of `served_model`; how many there are.

        Args:
            lists: (user_id, rank, movie_id, score), in any number of parts.
        """
        rows = 0
        with self.connect() as connection:
            connection.execute("DELETE FROM served_model")
            for part in lists:
                connection.execute(
                    "INSERT INTO served_model BY NAME SELECT *, ? AS version FROM part", [version]
                )
                rows += len(part)
        return rows
