"""POST /recommend: LitServe's own path, by queue to a worker process and back.

How a body is answered is `http/body.py`'s; how the server is built, `server.py`'s.
"""

import asyncio
import gc
import logging
import multiprocessing
import signal
import time
import uuid
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from typing import Any

import litserve as ls  # type: ignore[import-untyped]
from fastapi import Request, Response
from fastapi.routing import APIRoute
from litserve.utils import LitAPIStatus, ResponseBufferItem  # type: ignore[import-untyped]

from movierec_serving import logs, metrics, tracing
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.events.log import EventLog
from movierec_serving.events.shown import ShownLog
from movierec_serving.http.body import SMALL, answer, is_for_one, read
from movierec_serving.http.replies import Reply, problem
from movierec_serving.model.holder import ModelHolder
from movierec_serving.model.lately import Lately
from movierec_serving.orphans import die_with_parent
from movierec_serving.runtime.putter import Putter
from movierec_serving.settings import ServingSettings

logger = logging.getLogger(__name__)

DEADLINE = 2.0  # seconds from a request's arrival to its answer, whatever happens to the worker
MAX_WAITING = 64  # requests of one API process that wait for workers; more had better come again


class RecommendAPI(ls.LitAPI):  # type: ignore[misc]
    """What a worker does with the body of a request.

    One request at a time, which may ask for 1,000 users and is then one batch for the kernel:
    LitServe's own batching loop polls while it is idle, and one HTTPException in a batch answers
    all of it. A body passes two queues, four times pickled: as bytes it costs nothing, and pydantic
    reads JSON faster than objects.
    """

    def __init__(self, settings: ServingSettings) -> None:
        super().__init__(max_batch_size=1, api_path="/recommend")
        self._settings = settings

    def setup(self, device: str) -> None:
        die_with_parent()
        collect_seldom()
        # Ctrl-C reaches the group; the main process decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        logs.configure(self._settings.log_format)
        multiprocessing.current_process().name = "worker"
        self._holder = holder_of(self._settings)
        self._holder.open_early()

    def decode_request(self, request: bytes) -> bytes:
        return request

    def predict(self, body: bytes) -> Reply:
        parent, body = tracing.unpacked(body)
        with tracing.span("worker", parent) if parent else nullcontext():
            return answer(self._holder, read(body))

    def encode_response(self, output: Reply) -> Reply:
        return output


def collect_seldom() -> None:
    """Look for cycles of garbage after so many objects as 300 lists have; by itself Python looks
    after 700 objects, which takes a sixth of the time of an answer for many users.
    """
    gc.set_threshold(10_000)


def holder_of(settings: ServingSettings) -> ModelHolder:
    """Make what a process answers from, and where it writes down what it showed."""
    share = settings.shown_share
    shown = ShownLog(settings.shown, share, metrics.count_lost_lists) if share else None
    lately = Lately(EventLog(settings.events, settings.declarations, settings.events_address))
    remote = ObjectStore(settings.object_store) if settings.object_store else None
    return ModelHolder(
        settings.store,
        settings.pointer,
        shown=shown,
        lately=lately,
        object_store=remote,
        shard=settings.shard,
        explore=settings.explore_share,
    )


def by_workers(server: ls.LitServer, api: RecommendAPI, holder: ModelHolder) -> type[APIRoute]:
    """Make the class of a route that hands bodies to workers.

    It answers a small body itself, since LitServe's queues cost three times what FastAPI does, and
    hands another to a worker as it came, so that nobody else waits while 1,000 lists are computed.
    """
    putter = Putter()

    class ByWorkers(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            async def handle(request: Request) -> Response:
                body = await request.body()
                if len(body) <= SMALL and is_for_one(asked := read(body)):
                    return answer(holder, asked).response()
                return await _ask_worker(server, api, putter, body)

            return handle

    return ByWorkers


async def _ask_worker(
    server: ls.LitServer, api: RecommendAPI, putter: Putter, body: bytes
) -> Response:
    """Queue the request and wait for its answer, not longer than the deadline.

    LitServe's own handler waits for ever when a worker dies with the request, keeps the place of an
    answer that comes too late, and on the event loop for the manager process, which holds the
    queue: while that one hangs, no GET would be answered.
    """
    if max(len(server.response_buffer), putter.waiting) >= MAX_WAITING:
        metrics.count(metrics.REJECTED)
        return problem(503, "too many requests are waiting").response()
    uid, queue = str(uuid.uuid4()), server._get_request_queue(api.api_path)
    place = server.response_buffer[uid] = ResponseBufferItem(asyncio.Event())
    metrics.waiting(len(server.response_buffer))
    item = (server.app.response_queue_id, uid, time.monotonic(), tracing.packed(body))
    try:
        async with asyncio.timeout(DEADLINE):
            await putter.put(queue, item)
            await place.event.wait()
    except TimeoutError:
        return problem(504, f"no answer within {DEADLINE:g} s").response()
    except (OSError, EOFError) as error:
        logger.error("the request queue is gone: %r", error)
        return problem(503, "the workers cannot be reached").response()
    finally:
        server.response_buffer.pop(uid, None)
        metrics.waiting(len(server.response_buffer))
    output, status = place.response
    if status == LitAPIStatus.OK and isinstance(output, Reply):
        return output.response()
    return problem(504, f"no worker was free within {DEADLINE:g} s").response()
