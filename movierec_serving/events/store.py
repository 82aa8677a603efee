"""Where events are kept, beside ratings of files that are newer than a model: one index of what
users did lately.

What differs between SQLite and PostgreSQL is `sqlite.py`'s and `postgresql.py`'s.
"""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Literal

from movierec_serving.events.database import Database, Transaction
from movierec_serving.events.event import Event, KeptEvent
from movierec_serving.events.restoring import put_back
from movierec_serving.events.rows import known_events, marks, what
from movierec_serving.events.seen import SeenRatings
from movierec_serving.events.tables import COLUMNS, SOURCE, count

WAITING = "delivery IS NULL AND removed = 0 AND received_at < ? AND timestamp < ?"
Status = Literal["kept", "known", "another"]  # another: the id is of an event that says otherwise


class EventStore:
    """Events by id, in the order of their changes.

    Every method raises EventStoreError where the database is full, locked or not to be reached;
    then nothing has changed.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock
        self.seen = SeenRatings(database)

    def close(self) -> None:
        """What this thread has open; it is opened again when it is needed."""
        self._database.close()

    # -- events ------------------------------------------------------------------------------------

    def append(self, events: Sequence[Event], taking_back: Sequence[str] = ()) -> list[Status]:
        """Keep events; on the disk when this returns. The same id twice is one event, and what it
        says otherwise the second time is not kept.

        Args:
            taking_back: the types whose events change chunks that were delivered before.
        """
        statuses: list[Status] = []
        new: list[Event] = []
        with self._database.transaction() as change:
            count(change, 0)  # waits for whoever is writing
            known = known_events(change, [event.event_id for event in events])
            for event in events:
                said = known.get(event.event_id)
                if said is None:
                    known[event.event_id] = event
                    new.append(event)
                    statuses.append("kept")
                else:
                    statuses.append("known" if what(said) == what(event) else "another")
            last = count(change, len(new))
            now = int(self._clock())
            change.insert(
                f"events ({COLUMNS}, received_at, change)",
                [(*event, now, number) for number, event in enumerate(new, last - len(new) + 1)],
            )
            for event in new:
                if event.type in taking_back:
                    _deliver_again(
                        change, "user_id = ? AND movie_id = ?", (event.user_id, event.movie_id)
                    )
        return statuses

    def remove(self, event_id: str) -> str | None:
        """Take an event back; the id of its user, None if there is no such event."""
        with self._database.transaction() as change:
            number = count(change, 1)
            rows = change.execute(
                "UPDATE events SET removed = 1, change = ? WHERE event_id = ? AND removed = 0 "
                "RETURNING user_id",
                (number, event_id),
            )
            _deliver_again(change, "event_id = ?", (event_id,))
        return rows[0][0] if rows else None

    def of_user(self, user_id: str) -> list[KeptEvent]:
        """A user's events, those taken back included, in the order of their changes."""
        return self._kept("user_id = ?", (user_id,))

    def since(self, timestamp: int) -> list[KeptEvent]:
        """What was done from then on, in seconds since 1970, without what was taken back."""
        return self._kept("timestamp >= ? AND removed = 0", (timestamp,))

    def day(self, day: str) -> list[KeptEvent]:
        """The events that the chunk of a day (ISO) has."""
        return self._kept("delivery = ?", (day,))

    def _kept(self, where: str, values: Sequence[object]) -> list[KeptEvent]:
        rows = self._database.read(
            f"SELECT {COLUMNS}, received_at, removed, delivery, data_version FROM events "
            f"LEFT JOIN accepted ON day = delivery AND source = '{SOURCE}' WHERE {where} "
            "ORDER BY events.change",
            values,
        )
        return [KeptEvent(Event(*row[:-4]), row[-4], bool(row[-3]), *row[-2:]) for row in rows]

    # -- what is delivered as a chunk --------------------------------------------------------------

    def collect(self, day: str, ends: int) -> list[KeptEvent]:
        """All events of the users whose events the chunk of a day has, by user.

        The first time, the chunk is given all events that came before the day's end and no chunk
        has; from then on it has these. So each event is in one chunk, whatever is called again.

        Args:
            ends: seconds since 1970 at which the day ended.
        """
        with self._database.transaction() as change:
            count(change, 0)
            if not change.execute("SELECT day FROM deliveries WHERE day = ?", (day,)):
                change.insert("deliveries (day, collected_at)", [(day, int(self._clock()))])
                change.execute(f"UPDATE events SET delivery = ? WHERE {WAITING}", (day, ends, ends))
            change.execute("UPDATE deliveries SET changed = 0 WHERE day = ?", (day,))
        kept = self._kept("user_id IN (SELECT user_id FROM events WHERE delivery = ?)", (day,))
        return sorted(kept, key=lambda kept_event: kept_event.event.user_id)

    def has_waiting(self, ends: int) -> bool:
        """Whether a chunk of a day that ended at `ends` would be given events."""
        return bool(
            self._database.read(f"SELECT 1 FROM events WHERE {WAITING} LIMIT 1", (ends, ends))
        )

    def changed_deliveries(self) -> list[str]:
        """The days whose chunk has an event that was taken back since it was delivered."""
        rows = self._database.read("SELECT day FROM deliveries WHERE changed = 1 ORDER BY day")
        return [day for (day,) in rows]

    def delivered(self) -> list[str]:
        """The days whose chunks were given events, which are kept still, ascending."""
        rows = self._database.read(
            "SELECT DISTINCT delivery FROM events WHERE delivery IS NOT NULL ORDER BY delivery"
        )
        return [day for (day,) in rows]

    def put_back(self, day: str, kept: Sequence[KeptEvent]) -> int:
        """Let the chunk of a day have these events again; how many were lost."""
        with self._database.transaction() as change:
            return put_back(change, day, kept)

    def done_between(self, first: int, last: int) -> list[KeptEvent]:
        """The events that were done from `first` to before `last`, in seconds since 1970."""
        return self._kept("removed = 0 AND timestamp >= ? AND timestamp < ?", (first, last))

    def let_go(self, delivered_before: str, seen_before: str) -> int:
        """Delete events of the chunks of earlier days, and ratings of earlier days; how many events
        went.
        """
        with self._database.transaction() as change:
            gone = change.execute(
                "DELETE FROM events WHERE delivery < ? RETURNING 1", (delivered_before,)
            )
            change.execute("DELETE FROM seen WHERE day < ?", (seen_before,))
            change.execute(
                f"DELETE FROM accepted WHERE day < ? AND source <> '{SOURCE}'", (seen_before,)
            )
            change.execute(
                "DELETE FROM accepted WHERE day < ?", (min(delivered_before, seen_before),)
            )
        return len(gone)

    def forget(self, user_id: str) -> None:
        """Delete all that is kept of a user, also where a database keeps deleted rows.

        No event can be kept while the tables are written anew.
        """
        tables = ("events", "seen")
        with self._database.transaction() as change:
            for table in tables:
                change.execute(f"DELETE FROM {table} WHERE user_id = ?", (user_id,))
        self._database.rewrite(tables)

    # -- who did something lately ------------------------------------------------------------------

    def changed_users(
        self, since: int, but_types: Collection[str], learned: Collection[tuple[str, str]]
    ) -> tuple[int, list[str]]:
        """The last change, and whoever had one after `since`; perhaps more than once.

        Args:
            but_types: of events that change no list.
            learned: (day, data version) of the chunks that need no notice.
        """
        last: int = self._database.read("SELECT value FROM counter")[0][0]
        if last == since:
            return last, []
        chunks = self._database.read(
            "SELECT day, source, data_version, change FROM accepted WHERE change <= ?", (last,)
        )
        known = set(learned)
        types = list(but_types)
        days = [
            day
            for day, source, version, _ in chunks
            if source == SOURCE and (day, version) in known
        ]
        users = self._database.read(
            f"SELECT DISTINCT user_id FROM events WHERE change > ? AND change <= ? "
            f"AND type NOT IN ({marks(types)}) "
            f"AND (removed = 1 OR delivery IS NULL OR delivery NOT IN ({marks(days)}))",
            (since, last, *types, *days),
        )
        for day, source, version, change in chunks:
            if change > since and (day, version) not in known:
                users += self._database.read(
                    "SELECT DISTINCT user_id FROM seen WHERE day = ? AND source = ?", (day, source)
                )
        return last, [user for (user,) in users]


def _deliver_again(change: Transaction, where: str, values: Sequence[object]) -> None:
    """Note that the chunks with these events have to be made anew."""
    change.execute(
        "UPDATE deliveries SET changed = 1 WHERE day IN "
        f"(SELECT delivery FROM events WHERE {where})",
        values,
    )
