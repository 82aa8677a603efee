"""Each request is a span, where requests are traced; elsewhere this is not added."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from movierec_serving import tracing


class Traced:
    """ASGI middleware: a span by the route, below the caller's if the request names one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        header = tracing.PARENT.encode()
        parent = next((value for name, value in scope["headers"] if name == header), b"")
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
