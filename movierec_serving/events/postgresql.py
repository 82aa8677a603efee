"""Events in PostgreSQL, which several endpoints share; the driver is the extra `postgres`."""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from movierec_serving.errors import EventStoreError
from movierec_serving.events.database import Row, Transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

CONNECT = 2  # seconds
LOCK = 0x6D6F766965  # a number of our own among those of the database
PATIENCE = 2000  # milliseconds that a statement may take, a wait for another writer included


class PostgresDatabase:
    """A connection a thread. `synchronous_commit` stays on: a commit is on the disk when it
    returns.
    """

    def __init__(self, url: str, schema: Sequence[str]) -> None:
        self._schema = schema
        self._url = url.replace("postgresql+psycopg2://", "postgresql://", 1)
        self._local = threading.local()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._errors():
            connection = self._connection()
            try:
                with connection.cursor() as cursor:
                    yield _Transaction(cursor)
                connection.commit()
            except BaseException:
                with suppress(Exception):
                    connection.rollback()
                raise

    def read(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        with self._errors():
            connection = self._connection()
            with connection.cursor() as cursor:
                cursor.execute(_marked(sql), values)
                rows: list[Row] = cursor.fetchall()
            connection.commit()
            return rows

    def rewrite(self, tables: Sequence[str]) -> None:
        with self._errors():
            connection = self._connection()
            connection.autocommit = True  # VACUUM runs in no transaction
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SET statement_timeout = 0")
                    for table in tables:  # ANALYZE, because the statistics quote frequent values
                        cursor.execute(f"VACUUM (FULL, ANALYZE) {table}")
            finally:
                self.close()

    def close(self) -> None:
        """This thread's connection."""
        pid, connection = self._local.__dict__.pop("connection", (0, None))
        if connection is not None and pid == os.getpid():
            with suppress(Exception):
                connection.close()

    def _connection(self) -> "Connection":
        import psycopg2

        pid, connection = self._local.__dict__.get("connection", (0, None))
        if connection is None or pid != os.getpid() or connection.closed:
            options = f"-c statement_timeout={PATIENCE} -c synchronous_commit=on"
            connection = psycopg2.connect(self._url, connect_timeout=CONNECT, options=options)
            self._make_tables(connection)
            self._local.connection = (os.getpid(), connection)
        return connection

    def _make_tables(self, connection: "Connection") -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('deliveries')")
            if cursor.fetchone() == (None,):
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))  # one makes them
                for statement in self._schema:
                    cursor.execute(statement)
        connection.commit()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            import psycopg2
        except ImportError as error:
            raise EventStoreError(
                "PostgreSQL's driver is missing: install movierec[postgres]"
            ) from error
        try:
            yield
        except psycopg2.Error as error:
            self.close()
            # The message of a failed connection names host and user; not the password.
            raise EventStoreError(f"the store of events: {str(error).strip()}") from error


class _Transaction:
    def __init__(self, cursor: "Cursor") -> None:
        self._cursor = cursor

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        self._cursor.execute(_marked(sql), values)
        return self._cursor.fetchall() if self._cursor.description else []

    def insert(self, into: str, rows: Iterable[Sequence[object]]) -> None:
        from psycopg2.extras import execute_values

        execute_values(self._cursor, f"INSERT INTO {into} VALUES %s", list(rows), page_size=1000)


def _marked(sql: str) -> str:
    return sql.replace("?", "%s")
