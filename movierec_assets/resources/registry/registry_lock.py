"""One process at a time changes the registry, also where the processes are on several hosts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock

KEY = 0x6D6F766965726563  # "movierec"; advisory locks are numbers of their database


def registry_lock(tracking_uri: str, warehouse: Path) -> AbstractContextManager[object]:
    """The lock for one change: PostgreSQL's, where the registry is in it, else a file's."""
    if tracking_uri.startswith("postgresql"):
        return _advisory_lock(tracking_uri)
    return FileLock(warehouse / "registry.lock")


@contextmanager
def _advisory_lock(address: str) -> Iterator[None]:
    """Held by a session of its own, so that it ends with the process, however that ends.

    https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
    """
    import sqlalchemy as sa

    engine = sa.create_engine(address, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as session:
        session.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": KEY})
        yield
