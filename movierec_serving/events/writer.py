"""Group commit: what came while one transaction was written goes into the next, together.

A transaction costs a wait for the disk, whatever is in it. A request waits for its own at most one
transaction longer than if it had the disk to itself.
"""

import logging
import os
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from movierec_serving.errors import EventStoreError
from movierec_serving.events.event import Event
from movierec_serving.events.log import EventLog
from movierec_serving.events.store import Status

logger = logging.getLogger(__name__)

MOST = 5000  # events of one transaction, unless one request has more


class Writer:
    """One thread of this process that appends to a log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._waiting: queue.SimpleQueue[tuple[Sequence[Event], Future[list[Status]]]]
        self._started: int | None = None
        self._lock = threading.Lock()

    def append(self, events: Sequence[Event]) -> Future[list[Status]]:
        """What `EventLog.append` returns, or its EventStoreError, when they are on the disk.

        Who no longer waits cannot cancel it: an answer to a cancelled one would end the thread.
        """
        self._start()
        done: Future[list[Status]] = Future()
        done.set_running_or_notify_cancel()
        self._waiting.put((events, done))
        return done

    def _start(self) -> None:
        """With the first event: the process may have been forked since the writer was made."""
        if self._started == os.getpid():
            return
        with self._lock:
            if self._started != os.getpid():
                self._waiting = queue.SimpleQueue()
                threading.Thread(target=self._run, name="events", daemon=True).start()
                self._started = os.getpid()

    def _run(self) -> None:
        while True:
            gathered = [self._waiting.get()]
            while sum(len(events) for events, _ in gathered) < MOST:
                try:
                    gathered.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            self._commit(gathered)

    def _commit(self, gathered: list[tuple[Sequence[Event], Future[list[Status]]]]) -> None:
        together = [event for events, _ in gathered for event in events]
        try:
            statuses = iter(self._log.append(together))
        except EventStoreError as error:
            for _, done in gathered:
                done.set_exception(error)
        except Exception as error:
            logger.exception("%d events were not kept", len(together))
            for _, done in gathered:
                done.set_exception(EventStoreError(f"the store of events: {error!r}"))
        else:
            for events, done in gathered:
                done.set_result([next(statuses) for _ in events])
