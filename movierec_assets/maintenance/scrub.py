"""A SQLite file without an id: masked in every text, and no trace left in free pages."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from movierec_assets.maintenance.traces import Traces


def scrub_sqlite(database: Path, traces: Traces) -> None:
    """Mask the id wherever a text of any table names it.

    Dagster's events and MLflow's tags are texts and JSON, so a mask leaves them readable. The file
    is written anew afterwards, since an old text stays in a free page.
    """

    def masked(value: Any) -> Any:
        return traces.masked(value) if isinstance(value, str) else value

    if not traces.may_be_in(database.read_bytes()) and not _beside(database, traces):
        return
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.create_function("masked", 1, masked, deterministic=True)
        connection.execute("BEGIN IMMEDIATE")
        for table, column in _texts(connection):
            connection.execute(
                f"""UPDATE "{table}" SET "{column}" = masked("{column}")
                    WHERE typeof("{column}") = 'text' AND masked("{column}") <> "{column}" """
            )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _beside(database: Path, traces: Traces) -> bool:
    """Whether what SQLite keeps beside the file names the user."""
    files = (database.with_name(f"{database.name}{end}") for end in ("-wal", "-journal"))
    return any(file.is_file() and traces.may_be_in(file.read_bytes()) for file in files)


def _texts(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """(table, column) of every column that can hold a text."""
    return connection.execute(
        """SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c
           WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"""
    ).fetchall()
