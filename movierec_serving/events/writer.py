"""Group commit: what came while one transaction was written goes into the next, together.

A transaction costs a wait for the disk, whatever is in it. A request waits for its own at most one
transaction longer than if it had the disk to itself.
"""

import asyncio
import logging
import os
import queue
import threading
from collections import deque
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
    """One thread of this process that appends to a log, for the requests of event loops.

    Args:
        within: seconds that a request's events may take.
    """

    def __init__(self, log: EventLog, within: float) -> None:
        self._log, self._within = log, within
        self._patience: _Patience | None = None
        self._waiting: queue.SimpleQueue[tuple[Sequence[Event], Result]]
        self._started: int | None = None
        self._lock = threading.Lock()

    async def append(self, events: Sequence[Event]) -> list[Status]:
        """What `EventLog.append` returns, when they are on the disk.

        Who no longer waits takes nothing back: the events are kept as soon as they can be.

        Raises:
            EventStoreError: they are not known to be kept.
        """
        self._start()
        loop = asyncio.get_running_loop()
        if self._patience is None or self._patience.loop is not loop:
            self._patience = _Patience(loop, self._within)
        result: Result = loop.create_future()
        self._patience.with_(result)
        self._waiting.put((events, result))
        return await result

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
            count = len(gathered[0][0])
            while count < MOST:
                try:
                    gathered.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
                count += len(gathered[-1][0])
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


class _Patience:
    """Gives up on results that take too long.

    One timer for all of a loop: to set one for each and take it back is a tenth of an event.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, within: float) -> None:
        self.loop, self._within = loop, within
        self._waiting: deque[tuple[float, Result]] = deque()  # in the order of their time
        self._looks = False

    def with_(self, result: Result) -> None:
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        self._waiting.append((self.loop.time() + self._within, result))
        if not self._looks:
            self._looks = True
            self.loop.call_later(self._within, self._look)

    def _look(self) -> None:
        """Give up on those whose time is over; look again when the next one's is."""
        now = self.loop.time()
        while self._waiting:
            until, result = self._waiting[0]
            if not result.done():
                if until > now:
                    self.loop.call_at(until, self._look)
                    return
                text = f"the disk took more than {self._within:g} s"
                result.set_exception(EventStoreError(text))
            self._waiting.popleft()
        self._looks = False


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
