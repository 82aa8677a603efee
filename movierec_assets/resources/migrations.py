"""The warehouse's schema, by numbered SQL files in `warehouse/migrations/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

MIGRATIONS = Path(__file__).parents[2] / "warehouse" / "migrations"


class NewerWarehouse(RuntimeError):
    """The file's schema is newer than this program's."""


@dataclass(frozen=True)
class SchemaNumber:
    """The last migration of a file, and the last one known."""

    found: int
    known: int

    @property
    def current(self) -> bool:
        return self.found == self.known


def schema_number(connection: duckdb.DuckDBPyConnection) -> SchemaNumber:
    """What the file has, and should have.

    Raises:
        NewerWarehouse: it has more than is known here.
    """
    known = max(int(file.name[:4]) for file in MIGRATIONS.glob("[0-9]*.sql"))
    try:
        found = connection.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchall()[0][0]
    except duckdb.CatalogException:
        found = 0
    if found > known:
        raise NewerWarehouse(
            f"the warehouse has schema {found}, this movierec knows {known}: upgrade movierec, the file was not touched"
        )
    return SchemaNumber(found, known)


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Apply the migrations that the file lacks, in one transaction."""
    connection.begin()
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name VARCHAR NOT NULL)"
    )
    found = schema_number(connection).found  # again, inside: another process may have come first
    for file in sorted(MIGRATIONS.glob("[0-9]*.sql")):
        if int(file.name[:4]) > found:
            connection.execute(file.read_text(encoding="utf-8"))
            connection.execute("INSERT INTO migrations VALUES (?, ?)", [int(file.name[:4]), file.stem])
    connection.commit()
