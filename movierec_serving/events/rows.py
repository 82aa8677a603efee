"""Events as rows of a table, and what two events with one id have in common."""

from collections.abc import Sequence

from movierec_serving.events.database import Transaction
from movierec_serving.events.event import Event
from movierec_serving.events.tables import COLUMNS


def known_events(change: Transaction, ids: Sequence[str]) -> dict[str, Event]:
    """The events that the store has, by id."""
    known: dict[str, Event] = {}
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        rows = change.execute(
            f"SELECT {COLUMNS} FROM events WHERE event_id IN ({marks(part)})", part
        )
        known.update((row[0], Event(*row)) for row in rows)
    return known


def what(event: Event) -> tuple[object, ...]:
    """What an event says; not when, which is filled in where its sender names no time."""
    return event.user_id, event.movie_id, event.type, event.value


def marks(values: Sequence[object]) -> str:
    # Nothing is NOT IN (NULL), not even what is nowhere: an empty text stands for no value.
    return ", ".join("?" * len(values)) or "''"
