"""Which store the settings mean."""

from pathlib import Path

from movierec_serving.errors import EventStoreError
from movierec_serving.events.postgresql import PostgresDatabase
from movierec_serving.events.sqlite import SqliteDatabase
from movierec_serving.events.store import EventStore
from movierec_serving.events.tables import SCHEMA

FILE = "events.db"


def open_store(folder: Path, url: str | None = None) -> EventStore:
    """The store at a PostgreSQL URL, else SQLite's in the folder; nothing is opened yet.

    Raises:
        EventStoreError: a URL of another database.
    """
    if not url:
        return EventStore(SqliteDatabase(folder / FILE, SCHEMA))
    if not url.startswith(("postgresql://", "postgresql+psycopg2://")):
        raise EventStoreError("MOVIEREC_EVENTS_URL: expected postgresql://… or nothing")
    return EventStore(PostgresDatabase(url, SCHEMA))
