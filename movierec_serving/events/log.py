"""The store of events with the marks of who did something lately: whoever changes the one sets the
other.
"""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from movierec_serving.errors import EventStoreError
from movierec_serving.events.event import Event
from movierec_serving.events.fresh_users import FreshUsers
from movierec_serving.events.opening import open_store
from movierec_serving.events.store import EventStore, Status
from movierec_serving.events.trouble import Trouble
from movierec_serving.events.types import EventType, read_types

logger = logging.getLogger(__name__)

AT_ONCE = 20_000  # ratings of one transaction
FOLLOWED = 0.5  # seconds between two looks at what other endpoints kept
Chunk = tuple[str, str]  # day and data version, as a manifest has them


class EventLog:
    """What one process of a home writes and reads.

    Args:
        folder: where the store lies, if it is a file, and the marks.
        declarations: the folder of the sources' declarations, which may declare types of events.
        url: of PostgreSQL, where endpoints share it.
    """

    def __init__(self, folder: Path, declarations: Path, url: str | None = None) -> None:
        self.store: EventStore = open_store(folder, url)
        self._declarations = declarations
        self._shared = bool(url)
        self._fresh = FreshUsers(folder / "fresh-users")
        self._followed = 0

    @cached_property
    def types(self) -> Mapping[str, EventType]:
        """Those that are known and declared, read once."""
        return read_types(self._declarations)

    @cached_property
    def _taking_back(self) -> list[str]:
        return [name for name, kind in self.types.items() if kind.takes_back]

    @cached_property
    def _silent(self) -> list[str]:
        return [name for name, kind in self.types.items() if kind.silent]

    def append(self, events: Sequence[Event]) -> list[Status]:
        """Keep events: on the disk, and known to every process, when this returns."""
        users = [event.user_id for event in events if event.type not in self._silent]
        with self._fresh.turn():
            self._fresh.mark(users)
            statuses = self.store.append(events, self._taking_back)
            self._fresh.changed(users)
        return statuses

    def remove(self, event_id: str) -> bool:
        """Take an event back, for every process; whether there was one."""
        with self._fresh.turn():
            user = self.store.remove(event_id)
            if user is not None:
                self._fresh.mark([user])
                self._fresh.changed([user])
        return user is not None

    def accept(
        self,
        day: str,
        source: str,
        data_version: str,
        ratings: Iterable[tuple[str, str, float]],
    ) -> None:
        """Let (user, movie, stars) be all that a source's chunk of a day says."""
        rows = list(ratings)
        self.store.seen.drop(day, source, data_version)  # of an attempt that was cut short
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            with self._fresh.turn():  # for a moment: events are to be kept meanwhile
                self._fresh.mark(user for user, _, _ in part)
                self.store.seen.add(day, source, data_version, part)
        with self._fresh.turn():
            users = self.store.seen.accept(day, source, data_version)
            self._fresh.changed(users)

    def perhaps_fresh(self, user_id: str) -> bool:
        """Whether a user may have done something lately; asks nobody."""
        return self._fresh.marked(user_id)

    def changes_of(self, user_id: str) -> int | None:
        """A number that moves when something of the user changed; None if nobody counts."""
        return self._fresh.changes(user_id)

    def renew(self, learned: Iterable[Chunk]) -> None:
        """Mark anew who did something that is in none of these chunks.

        What is kept meanwhile is marked, too: the first look is without a lock and may take long,
        the second one sees what came since.
        """
        learned = frozenset(learned)
        try:
            beside = self._fresh.beside()
        except OSError as error:
            raise EventStoreError(f"no room for the marks of fresh users: {error}") from error
        try:
            last, users = self.store.changed_users(0, self._silent, learned)
            beside.mark(users)
            with self._fresh.turn():
                self._followed, users = self.store.changed_users(last, self._silent, learned)
                beside.mark(users)
                self._fresh.replace(beside)
        finally:
            beside.discard()

    def ask_for_all(self) -> None:
        """Let the store be asked for every user, until the marks are made anew."""
        with self._fresh.turn():
            self._fresh.discard()

    def follow(self) -> None:
        """Learn of what other endpoints keep, in a thread of its own; a file has no others."""
        if self._shared:
            threading.Thread(target=self._follow, name="follow", daemon=True).start()

    def _follow(self) -> None:
        pause, trouble = (
            threading.Event(),
            Trouble(logger, "events of other endpoints are not known"),
        )
        accepted: dict[tuple[str, str], str] = {}
        while not pause.wait(FOLLOWED):
            try:
                with self._fresh.turn():
                    last, users = self.store.changed_users(self._followed, self._silent, ())
                    self._fresh.mark(users)
                    self._fresh.changed(users)
                    if (
                        last != self._followed
                        and (chunks := self.store.seen.accepted()) != accepted
                    ):
                        self._fresh.all_changed()  # also whom a chunk before named
                        accepted = chunks
                    self._followed = last
                trouble(None)
            except EventStoreError as error:
                trouble(error)
