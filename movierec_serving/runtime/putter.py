"""Putting requests into the manager's queue, which may hang, without waiting on the event loop."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol


class Queue(Protocol):
    def put(self, item: Any) -> None: ...


class Putter:
    """One thread that puts, and a count of what it has not yet taken up.

    Who waits may give up, but the item keeps its memory until the thread comes to it: it counts
    until then, and is dropped when its turn comes.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "put")  # begins with the first item, after any fork
        self._given = 0  # by the event loop alone
        self._taken = 0  # by the thread alone

    @property
    def waiting(self) -> int:
        return self._given - self._taken

    async def put(self, queue: Queue, item: Any) -> None:
        """Returns when the queue has the item; an error of the queue is raised."""
        self._given += 1
        given_up = threading.Event()

        def put_in_turn() -> None:
            self._taken += 1
            if not given_up.is_set():
                queue.put(item)

        putting = asyncio.wrap_future(self._thread.submit(put_in_turn))
        try:
            await asyncio.shield(putting)  # to cancel it would not free the item, nor count it
        except asyncio.CancelledError:
            given_up.set()
            putting.add_done_callback(lambda done: done.exception())  # nobody else asks
            raise
