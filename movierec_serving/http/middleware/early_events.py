"""Events before FastAPI reads them: its way to a route costs more than to keep an event.

What is kept, and how, is `routes/events.py`'s.
"""

from collections.abc import Awaitable, Callable

from fastapi import HTTPException
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from movierec_serving.http.forgery import from_another_page
from movierec_serving.http.middleware.observed import CLIENT_CLOSED_REQUEST
from movierec_serving.http.replies import Reply, problem

PATH = "/events"
BY_BROWSERS = (b"sec-fetch-site", b"origin")  # programs need not wait while `Headers` looks
FOREIGN = "a page of another site sent this without a key; nothing was kept"
Keep = Callable[[bytes], Awaitable[Reply]]


class EarlyEvents:
    """ASGI middleware: answers `POST /events`, and passes all else on; within `BodyLimit`."""

    def __init__(self, app: ASGIApp, keep: Keep, route: APIRoute) -> None:
        self._app, self._keep, self._route = app, keep, route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        if any(name in BY_BROWSERS for name, _ in scope["headers"]) and from_another_page(
            Headers(scope=scope)
        ):
            await problem(403, FOREIGN).sent(send)
            return
        try:
            body = await _read(receive)
        except HTTPException as error:  # the body is too large
            refused = problem(error.status_code, str(error.detail))
            reply = refused._replace(headers=dict(error.headers or {}))
        else:
            hung_up = problem(CLIENT_CLOSED_REQUEST, "the client hung up")  # nobody reads it
            reply = hung_up if body is None else await self._keep(body)
        await reply.sent(send)


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None if the client went before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
