"""A share of the requests are spans, where requests are traced; elsewhere this is not added."""

import random
import re
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from movierec_serving import tracing

HEADER = tracing.PARENT.encode()
# The W3C's, whose last digit says whether the caller's trace is kept. What is none counts as none.
PARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
KEPT = 1  # of the bits


class Traced:
    """ASGI middleware: a span by the route, below the caller's if the request names one.

    A span costs as much as a plain answer. Which requests are spans is decided before anything of
    OpenTelemetry runs, so that the others cost nothing.

    Args:
        share: of the requests of callers who trace nothing, 0 to 1; the others decide themselves.
    """

    def __init__(self, app: ASGIApp, share: float) -> None:
        self._app, self._share = app, share

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._wanted(parent := _parent(scope)):
            await self._app(scope, receive, send)
            return
        with tracing.span(scope["method"], parent.decode("latin-1")) as span:
            assert span is not None

            async def send_noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self._app(scope, receive, send_noting)
            route: Any = scope.get("route")
            if route is not None:  # not the path itself, which has users' ids
                span.update_name(f"{scope['method']} {route.path_format}")

    def _wanted(self, parent: bytes) -> bool:
        if parent:
            return bool(int(parent[-1:], 16) & KEPT)
        return random.random() < self._share  # noqa: S311


def _parent(scope: Scope) -> bytes:
    """The caller's span; empty if it names none, or something else."""
    for name, value in scope["headers"]:
        if name == HEADER and PARENT.fullmatch(value):
            return bytes(value)
    return b""
