"""Rows that were read from a source's table and are in no delivered file yet: a SQLite file each.

The rows and how far the table was read are committed together, and so are the days that are to be
delivered and the rows that go into each. So a kill between two steps loses no row, and none is
delivered twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from movierec_assets.ratings.cutting import Mark, Row, place

SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    id INTEGER PRIMARY KEY, rated_day TEXT NOT NULL, delivery TEXT,
    user_id TEXT NOT NULL, movie_id TEXT NOT NULL, rating TEXT NOT NULL, timestamp TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS by_delivery ON rows (delivery, rated_day);
CREATE TABLE IF NOT EXISTS deliveries (day TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS seen (
    digest BLOB PRIMARY KEY, place INTEGER NOT NULL, times INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""
BUSY_S = 10.0  # another tick, or a backup


class TakenRows:
    """What was taken of one table. Its methods are transactions, each whole or not at all."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def open(cls, file: Path) -> Iterator[TakenRows]:
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file, timeout=BUSY_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(SCHEMA)
            yield cls(connection)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A transaction that no other writer is beside, from its beginning on."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    # -- how far the table was read ----------------------------------------------------------------

    @property
    def newest(self) -> Mark | None:
        """The highest watermark that was read."""
        return self._mark("newest")

    @property
    def since(self) -> Mark | None:
        """The watermark to read from: every row from it on that was read is in `seen`."""
        return self._mark("since")

    def seen(self) -> dict[bytes, int]:
        """How often a row of each digest was read, from `since` on."""
        return dict(self._connection.execute("SELECT digest, times FROM seen"))

    def take(
        self, rows: Sequence[tuple[Row, str]], newest: Mark | None, since: Mark | None
    ) -> None:
        """Keep rows, each with its rating's day, and how far the table was read; within `alone`."""
        self._connection.executemany(
            """INSERT INTO rows (rated_day, user_id, movie_id, rating, timestamp)
               VALUES (?, ?, ?, ?, ?)""",
            ((day, *row.texts) for row, day in rows),
        )
        self._connection.executemany(
            """INSERT INTO seen VALUES (?, ?, 1)
               ON CONFLICT (digest) DO UPDATE SET times = times + 1""",
            ((row.digest, place(row.mark)) for row, _ in rows),
        )
        if newest is not None and since is not None:
            self._connection.execute("DELETE FROM seen WHERE place < ?", [place(since)])
            self._set("newest", str(newest))
            self._set("since", str(since))

    # -- what is delivered -------------------------------------------------------------------------

    @property
    def delivered(self) -> str | None:
        """The last day that was cut, None before the first."""
        return self._get("delivered")

    def waiting(self) -> list[str]:
        """The days of the ratings of the rows that are in no delivery."""
        return self._column("SELECT DISTINCT rated_day FROM rows WHERE delivery IS NULL")

    def decide(self, cut: Mapping[str, Iterable[str]]) -> None:
        """Fix which rows each day's delivery has, see `cutting.cut`; from now on it is so."""
        if not cut:
            return
        with self.alone():
            for day, rated in cut.items():
                self._connection.execute("INSERT INTO deliveries VALUES (?)", [day])
                self._connection.executemany(
                    "UPDATE rows SET delivery = ? WHERE delivery IS NULL AND rated_day = ?",
                    [(day, rated_day) for rated_day in rated],
                )
            self._set("delivered", max(cut))

    def due(self) -> list[str]:
        """The days that were decided and are not known to be delivered, ascending."""
        return self._column("SELECT day FROM deliveries ORDER BY day")

    def rows_of(self, day: str) -> Iterator[tuple[str, str, str, str]]:
        """User, movie, rating, time of each row of a delivery, as they were read."""
        return self._connection.execute(
            "SELECT user_id, movie_id, rating, timestamp FROM rows WHERE delivery = ? ORDER BY id",
            [day],
        )

    def done(self, day: str) -> None:
        """Let go of a delivery whose file is where it belongs."""
        with self.alone():
            self._connection.execute("DELETE FROM rows WHERE delivery = ?", [day])
            self._connection.execute("DELETE FROM deliveries WHERE day = ?", [day])

    def erase(self, is_theirs: Callable[[str], bool]) -> None:
        """Delete the rows of a user; they are not read again, for `seen` knows them."""
        with self.alone():
            users = self._column("SELECT DISTINCT user_id FROM rows")
            self._connection.executemany(
                "DELETE FROM rows WHERE user_id = ?", [(user,) for user in users if is_theirs(user)]
            )

    # ----------------------------------------------------------------------------------------------

    def _column(self, sql: str) -> list[str]:
        return [value for (value,) in self._connection.execute(sql)]

    def _get(self, name: str) -> str | None:
        row = self._connection.execute("SELECT value FROM state WHERE name = ?", [name]).fetchone()
        return None if row is None else row[0]

    def _set(self, name: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", [name, value])

    def _mark(self, name: str) -> Mark | None:
        text = self._get(name)
        if text is None:
            return None
        return int(text) if text.lstrip("-").isdigit() else datetime.fromisoformat(text)
