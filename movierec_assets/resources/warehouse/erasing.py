"""A user's rows taken out of every table, whichever tables there are."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import duckdb

from movierec_assets.resources.warehouse.duckdb_file import DuckDBFile

OF_A_DAY = ("raw_ratings", "validated_ratings", "rejected_ratings", "chunks")


class Erasing(DuckDBFile):
    """What an erasure does to the tables: rows go, texts are masked, free blocks are given back."""

    def erase_user(
        self,
        user_id: str,
        days: Collection[str],
        identities: Collection[str],
        masked: Callable[[str], str],
    ) -> None:
        """Delete a user from every table that has users, in one transaction.

        Args:
            days: whose chunks were rewritten; all their rows go, to be ingested again.
            identities: of the models that are left; the rows of days with another one go.
            masked: gives a text without the id, for columns of free text.
        """
        with self.connect() as connection:
            connection.create_function("masked", masked, ["VARCHAR"], "VARCHAR")
            for table in OF_A_DAY:
                connection.execute(
                    f"DELETE FROM {table} WHERE list_contains(CAST(? AS DATE[]), day)", [list(days)]
                )
            connection.execute(
                """DELETE FROM day_models
                   WHERE identity IS NOT NULL AND NOT list_contains(CAST(? AS VARCHAR[]), identity)
                """,
                [list(identities)],
            )
            for table, column in _texts(connection):
                if column == "user_id":
                    connection.execute(f"DELETE FROM {table} WHERE trim(user_id) = ?", [user_id])
                else:
                    connection.execute(
                        f"""UPDATE {table} SET "{column}" = masked("{column}")
                            WHERE contains("{column}", ?) AND masked("{column}") <> "{column}" """,
                        [user_id],
                    )
            connection.remove_function("masked")

    def compact(self) -> None:
        """Write the file anew and put it in place of the old one, whose free blocks hold deleted
        rows.
        """
        fresh = Path(self.path).with_name(f".{Path(self.path).name}.compact")
        fresh.unlink(missing_ok=True)
        try:
            with self.open(read_only=False) as connection:
                # No write-ahead log is left that the new file is not of.
                connection.execute("CHECKPOINT")
                self._copy(connection, fresh)
                connection.execute("DETACH fresh")
                fresh.replace(self.path)  # under the old file's lock: nobody wrote in between
        finally:
            fresh.unlink(missing_ok=True)


def _texts(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """(table, column) of every text in a table of ours."""
    return connection.execute(
        """SELECT table_name, column_name FROM duckdb_columns()
           WHERE NOT internal AND data_type IN ('VARCHAR', 'JSON')
             AND table_name IN (SELECT table_name FROM duckdb_tables() WHERE NOT internal)
             AND table_name <> 'migrations'
           ORDER BY column_name <> 'user_id', table_name"""
    ).fetchall()
