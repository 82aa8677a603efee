"""What the served version recommends to each user, for whoever reads it in SQL."""

from __future__ import annotations

import pandas as pd

from movierec_assets.resources.warehouse.duckdb_file import DuckDBFile


class ServedLists(DuckDBFile):
    """The table `served_model`: the lists of one version."""

    def replace_served(self, version: int, served: pd.DataFrame) -> None:
        """Make one version's recommendations (user_id, rank, movie_id, score) the content of
        `served_model`.
        """
        with self.connect() as connection:
            connection.execute("DELETE FROM served_model")
            connection.register("served", served.assign(version=version))
            connection.execute("INSERT INTO served_model BY NAME SELECT * FROM served")
