"""What the store asks of a database: transactions that are on the disk when they end, and reads."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Row = tuple[Any, ...]


class Transaction(Protocol):
    """All of it is kept, or nothing."""

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Run a statement whose values stand as `?`; the rows that it returns, if it does."""
        ...

    def insert(self, into: str, rows: Iterable[Sequence[object]]) -> None:
        """Insert rows into `table (columns)`."""
        ...


class Database(Protocol):
    """Usable from any thread and, if nothing was asked of it before, from a forked process.

    All raise EventStoreError where the database is full, locked or not to be reached.
    """

    def transaction(self) -> AbstractContextManager[Transaction]:
        """One writer at a time; durable when the block has ended."""
        ...

    def read(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Rows of a query, as of its beginning."""
        ...

    def rewrite(self, tables: Sequence[str]) -> None:
        """Write tables anew, so that nothing of what was deleted is left in their files."""
        ...

    def close(self) -> None: ...
