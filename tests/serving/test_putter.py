"""What is put into a queue that hangs is counted until its turn comes."""

import asyncio
import queue
import threading
from typing import Any

import pytest

from movierec_serving.runtime.putter import Putter


class Hanging:
    """A queue whose puts wait until it is let go."""

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        self.items = queue.SimpleQueue[Any]()

    def put(self, item: Any) -> None:
        self.begun.set()
        self.go.wait(60)
        self.items.put(item)


def test_an_item_counts_until_its_turn_and_is_dropped_if_nobody_waits() -> None:
    async def scenario() -> None:
        putter, hanging = Putter(), Hanging()
        puts = [asyncio.create_task(putter.put(hanging, number)) for number in range(4)]
        await asyncio.to_thread(hanging.begun.wait, 60)
        assert putter.waiting == 3  # the first is in the thread's hand
        for given_up in puts[1:3]:
            given_up.cancel()
        await asyncio.wait(puts[1:3])
        assert putter.waiting == 3  # they keep their memory
        hanging.go.set()
        await puts[0]
        await puts[3]
        assert putter.waiting == 0
        assert [hanging.items.get_nowait() for _ in range(2)] == [0, 3]
        assert hanging.items.empty()

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_an_error_of_the_queue_is_the_callers() -> None:
    class Gone:
        def put(self, item: Any) -> None:
            raise EOFError

    with pytest.raises(EOFError):
        asyncio.run(Putter().put(Gone(), 1))
