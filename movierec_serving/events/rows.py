"""Events as rows of a table, and what two events with one id have in common."""

from collections.abc import Callable, Sequence
from operator import attrgetter

from movierec_serving.events.database import Transaction
from movierec_serving.events.event import Event
from movierec_serving.events.tables import COLUMNS

row_of: Callable[[Event], tuple[object, ...]] = attrgetter(*COLUMNS.split(", "))


def known_events(change: Transaction, ids: Sequence[str]) -> dict[str, Event]:
    """The events that the store has, by id."""
    known: dict[str, Event] = {}
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        rows = change.execute(
            f"SELECT {COLUMNS} FROM events WHERE event_id IN ({marks(part)})", part
        )
        for row in rows:
            known[row[0]] = Event.model_construct(
                **dict(zip(COLUMNS.split(", "), row, strict=True))
            )
    return known


def what(event: Event) -> tuple[object, ...]:
    """What an event says; not when, which is filled in where its sender names no time."""
    return event.user_id, event.movie_id, event.type, event.value


def marks(values: Sequence[object]) -> str:
    # Nothing is NOT IN (NULL), not even what is nowhere: an empty text stands for no value.
    return ", ".join("?" * len(values)) or "''"
