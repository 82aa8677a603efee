"""Events in a SQLite file beside the warehouse's other ones: the default, for one machine."""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from movierec_serving.errors import EventStoreError
from movierec_serving.events.database import Row, Transaction

VERSION = 1  # of the tables
# Pages of the log that are carried over at once. An event changes four pages that no other one of
# its transaction does; at SQLite's 1,000 whoever commits every tenth time would carry them over.
CHECKPOINT = 10_000
BUSY = 2.0  # seconds that a statement waits for a foreign lock


class SqliteDatabase:
    """Write-ahead log, so that readers wait for nobody; `synchronous=FULL`, so that a commit is on
    the disk when it returns. SQLite's own waiting for a writer is a sleep: those of one home queue
    at `FreshUsers.turn` before they come here.
    """

    def __init__(self, path: Path, schema: Sequence[str]) -> None:
        self.path, self._schema = path, schema
        self._local = threading.local()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._errors():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield _Transaction(connection)
                connection.execute("COMMIT")
            except BaseException:
                # What failed to be written may have ended the transaction by itself.
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                self.close()
                raise

    def read(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        with self._errors():
            return self._connection().execute(sql, values).fetchall()

    def rewrite(self, tables: Sequence[str]) -> None:
        with self._errors():
            connection = self._connection()
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """This thread's connection."""
        open_ = self._local.__dict__.pop("open", None)
        if open_ is not None and open_[0][0] == os.getpid():
            open_[1].close()

    def _connection(self) -> sqlite3.Connection:
        """This thread's, of this process and of the file that is there.

        SQLite's must not be carried over a fork, and what goes into a removed file is lost.
        """
        connection: sqlite3.Connection | None
        of, connection = self._local.__dict__.get("open", (None, None))
        if connection is None or of != self._place():
            self.close()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, timeout=BUSY, isolation_level=None, cached_statements=256
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
            self._make_tables(connection)
            self._local.open = (self._place(), connection)
        return connection

    def _place(self) -> tuple[int, int]:
        """The process, and the file by its number; 0 where there is none."""
        with suppress(FileNotFoundError):
            return os.getpid(), self.path.stat().st_ino
        return os.getpid(), 0

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
            return
        connection.execute("BEGIN IMMEDIATE")
        for statement in self._schema:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.DatabaseError, OSError) as error:
            self.close()
            raise EventStoreError(f"the store of events: {error}") from error


class _Transaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()

    def insert(self, into: str, rows: Iterable[Sequence[object]]) -> None:
        columns = into.count(",") + 1
        marks = ", ".join("?" * columns)
        self._connection.executemany(f"INSERT INTO {into} VALUES ({marks})", rows)
