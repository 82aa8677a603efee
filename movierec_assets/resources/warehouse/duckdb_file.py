"""The DuckDB file: short connections, waited for, and its schema by numbered SQL files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import tenacity

from movierec_assets.errors import NewerWarehouseError, WarehouseHeldError
from movierec_assets.resources.warehouse.attached import attach, attached

MIGRATIONS = Path(__file__).parents[3] / "warehouse" / "migrations"
# A DuckDB shell left open stops the writers; the run then fails and says who.
LOCK_DEADLINE_S = 600.0
EVER = "9999-12-31"  # after any day: where all are asked for
# Rows of `chunks` that count, of the days after one and up to another.
ACCEPTED = """current AND verdict = 'accepted'
              AND day > CAST(? AS DATE) AND day <= CAST(? AS DATE)"""
logger = logging.getLogger(__name__)
_unit: ContextVar[tuple[str, duckdb.DuckDBPyConnection] | None] = ContextVar("unit", default=None)


def _conflict(error: BaseException) -> bool:
    text = str(error)
    return isinstance(error, duckdb.Error) and (
        "Could not set lock" in text or "Unique file handle conflict" in text
    )


def _say_who_holds_it(state: tenacity.RetryCallState) -> None:
    if state.attempt_number in (20, 200, 2000) and state.outcome is not None:
        logger.warning("waiting for the warehouse: %s", state.outcome.exception())


class DuckDBFile(dg.ConfigurableResource):  # type: ignore[type-arg]
    """One DuckDB file, of the newest schema.

    DuckDB admits one writing process, so a connection lives for one unit of work, and one that
    finds the file held waits, by DuckDB's own lock: it also covers shells and names the process
    that holds it.
    """

    path: str
    wait_s: float = LOCK_DEADLINE_S

    @contextmanager
    def connect(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """One short connection, always closed; a write is one transaction, rolled back on any
        error.

        Inside another one's block it is that one: what belongs together is one unit.

        Raises:
            WarehouseHeldError: another process held the file for `wait_s`; it is named.
            NewerWarehouseError: the file was made by a newer movierec.
        """
        outer = _unit.get()
        if outer is not None and outer[0] == self.path:
            yield outer[1]
            return
        with ExitStack() as opened:
            existing = Path(self.path).exists()
            connection = opened.enter_context(self.open(read_only=read_only and existing))
            if _schema(connection) != _known_schema():
                opened.close()
                with self.open(read_only=False) as old:
                    _migrate(old)
                connection = opened.enter_context(self.open(read_only=read_only))
            connection.begin()
            token = _unit.set((self.path, connection))
            try:
                yield connection
            finally:
                _unit.reset(token)
            connection.commit()  # without one, closing rolls back

    def snapshot(self, target: Path) -> None:
        """Copy the tables and views, as they are at one moment, into a new DuckDB file.

        The copy holds rows that there are and nothing else: deleted rows stay in a file's free
        blocks, and are not copied.
        """
        with self.connect() as connection:
            self._copy(connection, target)

    def _copy(self, connection: duckdb.DuckDBPyConnection, target: Path) -> None:
        (own,) = connection.execute("SELECT current_database()").fetchall()[0]
        attach(connection, str(target), "fresh")
        connection.execute(f'COPY FROM DATABASE "{own}" TO fresh')

    @contextmanager
    def open(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection as soon as the file is free, to the end of the block.

        Raises:
            WarehouseHeldError: another process held it for `wait_s`.
        """
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        waiting = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_conflict),
            wait=tenacity.wait_random_exponential(multiplier=0.01, max=0.5),
            stop=tenacity.stop_after_delay(self.wait_s),
            before_sleep=_say_who_holds_it,
            reraise=True,
        )
        with ExitStack() as opened:
            try:
                connection = waiting(
                    lambda: opened.enter_context(attached(self.path, read_only=read_only))
                )
            except duckdb.Error as error:
                if _conflict(error):
                    raise WarehouseHeldError(
                        f"the warehouse is in use for {self.wait_s:.0f} s: {error}"
                    ) from error
                raise
            yield connection

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self.connect(read_only=True) as connection:
            return connection.execute(sql, values).fetchall()

    def _frame(self, sql: str, values: Any, events: pd.DataFrame | None = None) -> pd.DataFrame:
        """The rows of a query, whose table `events` DuckDB finds as the argument of this name."""
        with self.connect(read_only=True) as connection:
            return connection.execute(sql, values).df()

    def _put(self, table: str, row: Mapping[str, Any]) -> None:
        """One row by its columns' names, in place of the one with its key."""
        places = ", ".join("?" * len(row))
        sql = f"INSERT OR REPLACE INTO {table} ({', '.join(row)}) VALUES ({places})"
        with self.connect() as connection:
            connection.execute(sql, list(row.values()))


def since(until: str, window_days: int | None) -> str:
    """The last day before the window that ends with `until`."""
    if window_days is None:
        return "0001-01-01"
    return (date.fromisoformat(until) - timedelta(days=window_days)).isoformat()


@cache
def _known_schema() -> int:
    return max(int(file.name[:4]) for file in MIGRATIONS.glob("[0-9]*.sql"))


@cache
def columns() -> Mapping[str, Sequence[tuple[str, str]]]:
    """(column, type) by table or view, of the newest schema; no file is opened."""
    with duckdb.connect(":memory:") as connection:
        _migrate(connection)
        rows = connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE NOT internal ORDER BY table_name, column_index"
        ).fetchall()
    names = dict.fromkeys(name for name, _, _ in rows)
    return {name: [(column, kind) for of, column, kind in rows if of == name] for name in names}


def _schema(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of the file's last migration.

    Raises:
        NewerWarehouseError: this program does not know it.
    """
    try:
        version = int(
            connection.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchall()[0][0]
        )
    except duckdb.CatalogException:
        return 0
    if version > (known := _known_schema()):
        raise NewerWarehouseError(
            f"the warehouse has schema {version}, this movierec knows {known}: upgrade movierec, "
            "the file was not touched"
        )
    return version


def _migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Apply the migrations that the file lacks, in one transaction."""
    connection.begin()
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name VARCHAR NOT NULL)"
    )
    version = _schema(connection)  # again, inside: another process may have come first
    for file in sorted(MIGRATIONS.glob("[0-9]*.sql")):
        if int(file.name[:4]) > version:
            connection.execute(file.read_text(encoding="utf-8"))
            connection.execute(
                "INSERT INTO migrations VALUES (?, ?)", [int(file.name[:4]), file.stem]
            )
    connection.commit()
