"""Group commit: what came while one transaction was written goes into the next, together.

A transaction costs a wait for the disk, whatever is in it. A request waits for its own at most one
transaction longer than if it had the disk to itself.
"""

import asyncio
import logging
import os
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress

from movierec_serving.errors import EventStoreError
from movierec_serving.events.event import Event
from movierec_serving.events.log import EventLog
from movierec_serving.events.store import Status

logger = logging.getLogger(__name__)

MOST = 5000  # events of one transaction, unless one request has more
Result = asyncio.Future[list[Status]]


class Writer:
    """One thread of this process that appends to a log, for the requests of event loops."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._waiting: queue.SimpleQueue[tuple[Sequence[Event], Result]]
        self._started: int | None = None
        self._lock = threading.Lock()

    async def append(self, events: Sequence[Event], within: float) -> list[Status]:
        """What `EventLog.append` returns, when they are on the disk.

        Who no longer waits takes nothing back: the events are kept as soon as they can be.

        Args:
            within: seconds that they may take.

        Raises:
            EventStoreError: they are not known to be kept.
        """
        self._start()
        loop = asyncio.get_running_loop()
        result: Result = loop.create_future()
        late = loop.call_later(within, _give_up, result, within)
        self._waiting.put((events, result))
        try:
            return await result
        finally:
            late.cancel()

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
            answers = self._commit([events for events, _ in gathered])
            told = list(zip((result for _, result in gathered), answers, strict=True))
            for loop in {result.get_loop() for result, _ in told}:
                with suppress(RuntimeError):  # it was closed meanwhile
                    # Once for all: to wake a loop for each request costs more than the rest.
                    loop.call_soon_threadsafe(_tell, loop, told)

    def _commit(self, gathered: Sequence[Sequence[Event]]) -> Sequence[list[Status] | Exception]:
        """Append in one transaction; what became of each request's events."""
        together = [event for events in gathered for event in events]
        try:
            statuses = iter(self._log.append(together))
            return [[next(statuses) for _ in events] for events in gathered]
        except EventStoreError as error:
            return [error] * len(gathered)
        except Exception as error:
            logger.exception("%d events were not kept", len(together))
            return [EventStoreError(f"the store of events: {error!r}")] * len(gathered)


def _give_up(result: Result, within: float) -> None:
    if not result.done():
        result.set_exception(EventStoreError(f"the disk took more than {within:g} s"))


def _tell(
    loop: asyncio.AbstractEventLoop, told: Sequence[tuple[Result, list[Status] | Exception]]
) -> None:
    """Answer the requests of one loop that still wait."""
    for result, answer in told:
        if result.get_loop() is not loop or result.done():
            continue
        if isinstance(answer, Exception):
            result.set_exception(answer)
        else:
            result.set_result(answer)
