"""Each request is counted, timed and named. What is counted, and where, is `metrics.py`'s."""

import logging
import random
import re
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from movierec_serving import metrics
from movierec_serving.http.replies import INTERNAL, problem

logger = logging.getLogger(__name__)

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
FAILED = (500, 504)  # logged one by one; a 503 is told by its number, there may be many
CLIENT_CLOSED_REQUEST = 499  # nginx's word for it: the client hung up before it had an answer


class Observed:
    """ASGI middleware: counts each request, and gives its answer the id that it came with, or
    one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, hung_up = time.perf_counter(), 0, False
        request = _request_id(scope)

        async def receive_noting() -> Message:
            nonlocal hung_up
            message = await receive()
            if message["type"] == "http.disconnect" and not status:
                hung_up = True
            return message

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request)]
            await send(message)

        try:
            await self._app(scope, receive_noting, send_named)
        except Exception:
            if not status:  # else FastAPI has answered
                await problem(500, INTERNAL).response()(scope, receive, send_named)
            raise
        finally:
            route: Any = scope.get("route")
            method = scope["method"]
            known = route is not None and method in route.methods
            # What a caller makes up must not become a label: there would be no end of them.
            method, path = (method, route.path_format) if known else ("other", "other")
            answered = CLIENT_CLOSED_REQUEST if hung_up else status or 500
            seconds = time.perf_counter() - started
            metrics.count_request(method, path, answered, seconds)
            if answered in FAILED:
                ids = {"request": request.decode(), "route": path, "status": answered}
                logger.error("no answer", extra={**ids, "seconds": round(seconds, 4)})


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return bytes(value)
    # No secret; the kernel's random numbers cost as much as to count the request, and give other
    # threads the interpreter.
    return b"%032x" % random.getrandbits(128)
