"""How large a request may be."""

from collections.abc import Mapping
from typing import Any

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from movierec_serving.http.replies import Reply, problem

MAX_BODY = 1 << 20  # bytes
TOO_LARGE = f"the body is above {MAX_BODY:,} bytes"
# Else the server would read what was refused, to find where the next request begins.
CLOSE = {"Connection": "close"}


class BodyLimit:
    """ASGI middleware: 413 at once for a body that says it is too large, and for one that is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if declared_length(scope) > MAX_BODY:
            await _refusal().response()(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:  # a chunked body does not say how long it is
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise HTTPException(413, TOO_LARGE, CLOSE)
            return message

        await self._app(scope, receive_counted, send)


def declared_length(scope: Mapping[str, Any], default: int = 0) -> int:
    """Bytes that the header promises, which the server has checked to be a number; else `default`,
    as for a chunked body.
    """
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return default


def _refusal() -> Reply:
    return problem(413, TOO_LARGE)._replace(headers=CLOSE)
