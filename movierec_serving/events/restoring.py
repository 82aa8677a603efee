"""Events put back into a store that lost them, as they were delivered."""

from collections.abc import Sequence

from movierec_serving.events.database import Transaction
from movierec_serving.events.event import KeptEvent
from movierec_serving.events.rows import known_events
from movierec_serving.events.tables import COLUMNS, count


def put_back(change: Transaction, day: str, kept: Sequence[KeptEvent]) -> int:
    """Let the chunk of a day (ISO) have these events; how many there were not.

    Those that are there and in no chunk yet become this one's, and what was taken back stays so.
    """
    count(change, 0)  # waits for whoever is writing
    known = known_events(change, [one.event.event_id for one in kept])
    new = [one for one in kept if one.event.event_id not in known]
    last = count(change, len(new))
    change.insert(
        f"events ({COLUMNS}, received_at, delivery, removed, change)",
        [
            (*one.event, one.received_at, day, int(one.removed), last - len(new) + place)
            for place, one in enumerate(new, 1)
        ],
    )
    for one in kept:
        if one.event.event_id in known:
            change.execute(
                "UPDATE events SET delivery = ? WHERE event_id = ? AND delivery IS NULL",
                (day, one.event.event_id),
            )
            if one.removed:
                change.execute(
                    "UPDATE events SET removed = 1 WHERE event_id = ?", (one.event.event_id,)
                )
    if not change.execute("SELECT day FROM deliveries WHERE day = ?", (day,)):
        at = max((one.received_at for one in kept), default=0)
        change.insert("deliveries (day, collected_at)", [(day, at)])
    return len(new)
