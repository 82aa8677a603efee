"""All rows of SQLite databases, copied into tables that their owner has made in another database.

Dagster and MLflow move no records. Their tables have the same names and columns in SQLite and in
PostgreSQL, so rows go over as they are. Whose databases these are is the caller's to know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from movierec_assets.errors import MoveError

AT_ONCE = 2_000  # rows
KEPT = {"alembic_version", "secondary_indexes"}  # of the new tables: the owner's own
SEEDED = {"counter", "experiments", "workspaces"}  # have a row from the first moment


def copy_tables(files: Sequence[Path], target: sa.Connection) -> dict[str, int]:
    """Copy every table of the SQLite files with its rows' ids; how many rows each has.

    Raises:
        MoveError: the target has rows already, lacks a table or a column, or has another number
            of rows in the end.
    """
    tables = sa.MetaData()
    tables.reflect(target)
    _refuse_rows(tables, target)
    copied = Counter[str]()
    for file in files:
        with _opened(file) as (source, theirs):
            _refuse_unknown(file, theirs, tables)
            for table in tables.sorted_tables:  # what others refer to comes first
                if table.name in theirs.tables and table.name not in KEPT:
                    rows = source.execute(sa.select(theirs.tables[table.name])).mappings()
                    copied[table.name] += _insert(target, table, rows.partitions(AT_ONCE))
    _count_on(tables, target)
    for name, expected in copied.items():
        _compare(tables.tables[name], expected, target)
    return {name: number for name, number in sorted(copied.items()) if number}


def copy_run_events(files: Sequence[Path], target: sa.Connection) -> int:
    """Append Dagster's events of each run that its index does not have; how many rows there are.

    Dagster keeps an SQLite file a run, and mirrors what concerns assets in its index. Sensors'
    cursors and the tables of assets name rows by the index's ids, so those stay, and the other
    events of a run come after them.
    """
    events = sa.Table("event_logs", sa.MetaData(), autoload_with=target)
    total = _number_of(events, target)
    for file in files:
        with _opened(file) as (source, theirs):
            logs = theirs.tables["event_logs"]
            rows = source.execute(sa.select(logs).order_by(logs.c.id)).mappings().all()
        indexed = sa.select(events.c.event).where(
            events.c.run_id.in_({row["run_id"] for row in rows})
        )
        known = Counter(target.execute(indexed).scalars())
        new = []
        for row in rows:
            if known[row["event"]]:
                known[row["event"]] -= 1
            else:
                new.append({name: value for name, value in row.items() if name != "id"})
        total += _insert(target, events, [new] if new else [])
    _compare(events, total, target)
    return total


@contextmanager
def _opened(file: Path) -> Iterator[tuple[sa.Connection, sa.MetaData]]:
    """A database that is only read, all of it as of one moment, and its tables."""
    engine = sa.create_engine(f"sqlite:///file:{file}?mode=ro&uri=true", poolclass=sa.NullPool)
    tables = sa.MetaData()
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        tables.reflect(connection)
        yield connection, tables


def _refuse_rows(tables: sa.MetaData, target: sa.Connection) -> None:
    """Refuse a target with rows; those of seeded tables are removed: the source has its own."""
    for table in reversed(tables.sorted_tables):
        if table.name in SEEDED and _number_of(table, target) == 1:
            target.execute(table.delete())
        elif table.name not in KEPT and (number := _number_of(table, target)):
            raise MoveError(f"its table {table.name} has {number} rows: name an empty database")


def _refuse_unknown(file: Path, present: sa.MetaData, tables: sa.MetaData) -> None:
    for name, table in present.tables.items():
        columns = set(tables.tables[name].columns.keys()) if name in tables.tables else set()
        missing = [column.name for column in table.columns if column.name not in columns]
        if missing:
            raise MoveError(
                f"{file.name}: the new table {name} lacks {', '.join(missing)}: start `movierec "
                "up` once, which brings the old tables up to date, and try again"
            )


def _insert(
    target: sa.Connection, table: sa.Table, parts: Iterator[Sequence[Any]] | Sequence[Any]
) -> int:
    number = 0
    for part in parts:
        rows: list[Mapping[str, Any]] = [dict(row) for row in part]
        target.execute(table.insert(), rows)
        number += len(rows)
    return number


def _count_on(tables: sa.MetaData, target: sa.Connection) -> None:
    """Let each counter of ids go on after the highest."""
    for table in tables.sorted_tables:
        for column in table.columns:
            if "nextval" in str(getattr(column.server_default, "arg", "")):
                highest = sa.select(sa.func.max(column)).scalar_subquery()
                sequence = sa.func.pg_get_serial_sequence(f'"{table.name}"', column.name)
                following = sa.func.coalesce(highest + 1, 1)
                target.execute(sa.select(sa.func.setval(sequence, following, False)))


def _number_of(table: sa.Table, connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _compare(table: sa.Table, expected: int, target: sa.Connection) -> None:
    number = _number_of(table, target)
    if number != expected:
        raise MoveError(f"{number} rows of {expected} arrived in {table.name}")
