"""A table of somebody else's database, read from a watermark on. Nothing is ever written to it.

SQLAlchemy's errors are told without the URL, which is a secret.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchTableError, SQLAlchemyError

from movierec_assets.errors import TableError
from movierec_assets.ratings.cutting import Mark, Row
from movierec_assets.ratings.declaration import UNITS, Declaration, Table
from movierec_assets.ratings.hints import meant

AT_ONCE = 5_000  # rows that are fetched in one go
CONNECT_S, STATEMENT_S = 10, 40  # Dagster ends a sensor's tick after 60 s
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SUBSTITUTE = "\x1a"  # for NUL, which no CSV can have: validation rejects both


class SourceTable:
    """A declared table with an open connection."""

    def __init__(self, table: sa.Table, declared: Declaration, connection: sa.Connection) -> None:
        place = _place_of(declared)
        self._mark = table.c[place.watermark]
        self._columns = {ours: table.c[theirs] for ours, theirs in declared.names.items()}
        self._declared, self._connection = declared, connection
        self._called = f"{place.name}.{place.watermark}"

    def newest(self) -> Mark | None:
        """The highest watermark there is, None in an empty table."""
        mark = self._connection.execute(sa.select(sa.func.max(self._mark))).scalar_one()
        return None if mark is None else self._as_mark(mark)

    def without_mark(self) -> int:
        """How many rows have no watermark: they are never read."""
        counted = sa.select(sa.func.count()).where(self._mark.is_(None))
        return int(self._connection.execute(counted).scalar_one())

    def rows(self, since: Mark | None) -> Iterator[Row]:
        """The rows from a watermark on, it included, in its order; TableError where one holds a
        value that cannot be read.
        """
        asked = sa.select(self._mark, *self._columns.values()).order_by(self._mark)
        asked = asked.where(self._mark.is_not(None) if since is None else self._mark >= since)
        names = list(self._columns)
        streamed = self._connection.execution_options(stream_results=True, yield_per=AT_ONCE)
        mark: object = "the first" if since is None else since
        try:
            for mark, *values in streamed.execute(asked):
                texts = dict(zip(names, values, strict=True))
                yield Row(
                    self._as_mark(mark),
                    (
                        _text(texts["user_id"]),
                        _text(texts["movie_id"]),
                        _text(texts.get("rating"), whole=False),
                        _time(texts["timestamp"], self._declared),
                    ),
                )
        except ValueError as error:  # of a driver: a year that Python does not have
            raise TableError(f"a row after {self._called} {mark} is unreadable: {error}") from error

    def _as_mark(self, value: object) -> Mark:
        if isinstance(value, Decimal) and value == value.to_integral_value():
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int | datetime):
            kind = type(value).__name__
            raise TableError(f"{self._called} is {kind}, expected whole numbers or points in time")
        return value


@contextmanager
def opened(source: str, declared: Declaration) -> Iterator[SourceTable]:
    """Connect to a source's table for the time of the block.

    Raises:
        TableError: the variable is not set, the database cannot be reached, or it has no such
            table or columns.
    """
    place = _place_of(declared)
    url = os.environ.get(place.url_env)
    if not url:
        raise TableError(
            f"{source}: {place.url_env} is not set: put SQLAlchemy's URL of the database into it, "
            "such as postgresql://user:password@host/database, and restart the platform"
        )
    try:
        engine = _engine(sa.make_url(url))
        with engine.connect() as connection:
            table = _reflected(place, declared, connection)
            yield SourceTable(table, declared, connection)
    except NoSuchTableError:
        raise TableError(f"{source}: the database has no table {place.name!r}") from None
    except TableError as error:
        raise TableError(f"{source}: {error}") from None
    except (ArgumentError, ModuleNotFoundError) as error:
        why = f"{place.url_env} is no URL that can be used: {type(error).__name__}"
        if isinstance(error, ModuleNotFoundError):
            why += f", {error.name} is not installed"
        raise TableError(f"{source}: {why}") from None
    except SQLAlchemyError as error:
        raise TableError(f"{source}: {place.name}: {_told(error, url)}") from None


def _place_of(declared: Declaration) -> Table:
    if declared.table is None:
        raise ValueError("the source is no table")
    return declared.table


def _engine(url: sa.URL) -> sa.Engine:
    """Connect so that a database that does not answer fails the tick and does not hang it."""
    limits: dict[str, Any] = {}
    if url.get_backend_name() == "postgresql":
        if "+" not in url.drivername:
            url = url.set(drivername="postgresql+psycopg2")  # the driver that is installed
        options = f"-c statement_timeout={STATEMENT_S}s -c default_transaction_read_only=on"
        limits = {"connect_timeout": CONNECT_S, "options": options}
    return sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True, connect_args=limits)


def _reflected(place: Table, declared: Declaration, connection: sa.Connection) -> sa.Table:
    schema, _, name = place.name.rpartition(".")
    table = sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=connection)
    wanted = [*declared.names.values(), place.watermark]
    missing = [column for column in wanted if column not in table.c]
    if missing:
        hint = meant([column.name for column in table.c], missing)
        said = f"{place.name} has no column {', '.join(map(repr, missing))}"
        raise TableError(f"{said}. {hint}" if hint else said)
    return table


def _told(error: SQLAlchemyError, url: str) -> str:
    """The first line of what the database said, without what the URL keeps secret."""
    said = str(getattr(error, "orig", None) or error).partition("\n")[0]
    password = sa.make_url(url).password
    for secret in (url, str(password) if password else ""):
        said = said.replace(secret, "***") if secret else said
    return said


def _text(value: object, *, whole: bool = True) -> str:
    """A value as a CSV has it; `whole`: 7.0 is 7, as in ids."""
    match value:
        case None:
            return ""
        case bytes() | memoryview():
            return bytes(value).hex()
        case float() if whole and value.is_integer():
            return str(int(value))
        case Decimal():
            whole_number = whole and value == value.to_integral_value()
            return str(int(value)) if whole_number else format(value, "f")
    return str(value).replace("\0", _SUBSTITUTE)


def _time(value: object, declared: Declaration) -> str:
    """A point in time as the declaration says that times are written."""
    time = declared.time
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - the zone follows
    if isinstance(value, datetime):
        if time.format is not None:
            iso = time.format == "iso"
            return value.isoformat() if iso else value.strftime(time.format)
        zoned = value if value.tzinfo is not None else value.replace(tzinfo=ZoneInfo(time.zone))
        nanoseconds = (zoned - _EPOCH) // timedelta(microseconds=1) * 1_000
        return str(nanoseconds * UNITS[time.unit] // UNITS["ns"])
    if isinstance(value, float | Decimal) and math.isfinite(value):
        return str(math.floor(value))
    return _text(value)
