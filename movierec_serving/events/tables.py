"""The tables of events, and the counter that puts their changes in order."""

from movierec_serving.events.database import Transaction

SOURCE = "events"  # whose chunks are made of events
COLUMNS = "event_id, user_id, movie_id, type, value, timestamp, recommendation_id"
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS counter (value BIGINT NOT NULL)",
    "INSERT INTO counter SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM counter)",
    """CREATE TABLE IF NOT EXISTS events (
        event_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, movie_id TEXT NOT NULL,
        type TEXT NOT NULL, value DOUBLE PRECISION, timestamp BIGINT NOT NULL,
        recommendation_id TEXT, received_at BIGINT NOT NULL, delivery TEXT,
        removed INTEGER NOT NULL DEFAULT 0, change BIGINT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS events_of_user ON events (user_id)",
    "CREATE INDEX IF NOT EXISTS events_changed ON events (change)",
    "CREATE INDEX IF NOT EXISTS events_delivered ON events (delivery, received_at)",
    """CREATE TABLE IF NOT EXISTS accepted (
        day TEXT NOT NULL, source TEXT NOT NULL, data_version TEXT NOT NULL,
        change BIGINT NOT NULL, PRIMARY KEY (day, source))""",
    """CREATE TABLE IF NOT EXISTS seen (
        day TEXT NOT NULL, source TEXT NOT NULL, user_id TEXT NOT NULL, movie_id TEXT NOT NULL,
        stars DOUBLE PRECISION NOT NULL, data_version TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS seen_by_user ON seen (user_id)",
    "CREATE INDEX IF NOT EXISTS seen_of_day ON seen (day, source)",
    """CREATE TABLE IF NOT EXISTS deliveries (
        day TEXT PRIMARY KEY, collected_at BIGINT NOT NULL, changed INTEGER NOT NULL DEFAULT 0)""",
)


def count(change: Transaction, by: int) -> int:
    """The number of the last of so many changes.

    The row is locked to the end of the transaction, so that the order of the numbers is the order
    in which changes become visible.
    """
    return int(change.execute("UPDATE counter SET value = value + ? RETURNING value", (by,))[0][0])
