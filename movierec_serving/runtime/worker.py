"""POST /recommend: LitServe's own path, by queue to a worker process and back.

What a list of movies holds is `http/recommender.py`'s; how the server is built, `server.py`'s.
"""

import asyncio
import logging
import multiprocessing
import signal
import time
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import litserve as ls  # type: ignore[import-untyped]
from fastapi import Request, Response
from fastapi.routing import APIRoute
from litserve.utils import LitAPIStatus, ResponseBufferItem  # type: ignore[import-untyped]
from pydantic import ValidationError

from movierec_serving import metrics
from movierec_serving.errors import ModelUnavailableError, UnknownGenreError
from movierec_serving.http.recommender import Recommender
from movierec_serving.http.replies import Reply, invalid, problem, unknown_genre
from movierec_serving.http.schemas import NewUser, RecommendRequest
from movierec_serving.model.holder import ModelHolder
from movierec_serving.orphans import die_with_parent
from movierec_serving.runtime.putter import Putter

logger = logging.getLogger(__name__)

DEADLINE = 2.0  # seconds from a request's arrival to its answer, whatever happens to the worker
MAX_WAITING = 64  # requests of one API process that wait for workers; more had better come again


class RecommendAPI(ls.LitAPI):  # type: ignore[misc]
    """What a worker does with the body of a request.

    One request at a time, which may ask for 1,000 users and is then one batch for the kernel:
    LitServe's own batching loop polls while it is idle, and one HTTPException in a batch answers
    all of it. Errors are values: an exception that cannot be pickled would kill the worker. A body
    passes two queues, four times pickled: as bytes it costs nothing, and pydantic reads JSON faster
    than objects.
    """

    def __init__(self, store: Path, pointer: Path) -> None:
        super().__init__(max_batch_size=1, api_path="/recommend")
        self._paths = (store, pointer)

    def setup(self, device: str) -> None:
        die_with_parent()
        # Ctrl-C reaches the group; the main process decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        configure_logging()
        multiprocessing.current_process().name = "worker"
        self._holder = ModelHolder(*self._paths)
        self._holder.open_early()

    def decode_request(self, request: bytes) -> bytes:
        return request

    def predict(self, body: bytes) -> Reply:
        try:
            return _recommend(self._holder, RecommendRequest.model_validate_json(body))
        except ValidationError as error:
            return invalid(
                error.errors(include_url=False, include_input=False, include_context=False), "body"
            )
        except ModelUnavailableError as error:
            return problem(503, str(error))
        except UnknownGenreError as error:
            return unknown_genre(error, "body")
        except Exception:
            logger.exception("no answer for %r", body[:1000])
            return problem(500, "internal error")

    def encode_response(self, output: Reply) -> Reply:
        return output


def _recommend(holder: ModelHolder, request: RecommendRequest) -> Reply:
    recommender = Recommender(holder, request)
    if request.users is not None:
        return recommender.for_users(request.users)
    if request.ratings:
        return recommender.for_user(NewUser(ratings=request.ratings))
    return recommender.for_user(request.user_id or "")


def by_workers(server: ls.LitServer, api: RecommendAPI) -> type[APIRoute]:
    """A route that is documented by its signature, and hands the body to a worker as it came."""
    putter = Putter()

    class ByWorkers(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            async def handle(request: Request) -> Response:
                return await _ask_worker(server, api, putter, await request.body())

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
        metrics.count_rejection()
        return problem(503, "too many requests are waiting").response()
    uid, queue = str(uuid.uuid4()), server._get_request_queue(api.api_path)
    place = server.response_buffer[uid] = ResponseBufferItem(asyncio.Event())
    item = (server.app.response_queue_id, uid, time.monotonic(), body)
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
    output, status = place.response
    if status == LitAPIStatus.OK and isinstance(output, Reply):
        return output.response()
    return problem(504, f"no worker was free within {DEADLINE:g} s").response()


def configure_logging() -> None:
    """For a process of the endpoint: our own messages, and warnings of everybody else."""
    logging.basicConfig(format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
    logging.getLogger("movierec_serving").setLevel(logging.INFO)
