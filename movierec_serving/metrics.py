"""Counting requests, exactly over all API processes, and a middleware that names each of them."""

import mmap
import re
import secrets
import time
from collections.abc import Iterator, Sequence

import numpy as np
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATUSES = (200, 400, 401, 403, 404, 405, 409, 413, 422, 500, 503, 504)
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, np.inf)  # seconds
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class Metrics:
    """Numbers in memory that the API processes share by being forked.

    Each process adds to the row of its place, and nobody else does, so nothing needs a lock; a process that
    replaces a dead one goes on with its row, so nothing is lost. Made before the first fork.
    """

    def __init__(self, processes: int, routes: Sequence[str]) -> None:
        self._routes = {route: index for index, route in enumerate([*routes, "other"])}
        self._statuses = {status: index for index, status in enumerate([*STATUSES, "other"])}
        shape = (processes, len(self._routes))
        widths = (len(self._statuses), len(BUCKETS), 1)
        memory = mmap.mmap(-1, 8 * shape[0] * shape[1] * sum(widths))
        cells = np.frombuffer(memory, dtype=np.float64).reshape(*shape, sum(widths))
        self._counts, self._buckets, self._seconds = np.split(cells, np.cumsum(widths)[:-1], axis=2)
        self.row = 0

    def add(self, route: str, status: int, seconds: float) -> None:
        place = self.row, self._routes.get(route, self._routes["other"])
        self._counts[*place, self._statuses.get(status, len(STATUSES))] += 1
        self._buckets[*place, next(i for i, bound in enumerate(BUCKETS) if seconds <= bound)] += 1
        self._seconds[*place, 0] += seconds

    def text(self) -> Iterator[str]:
        """Prometheus' text format, lines without their ends."""
        counts, buckets, seconds = (a.sum(axis=0) for a in (self._counts, self._buckets, self._seconds))
        yield "# TYPE movierec_requests_total counter"
        for route, index in self._routes.items():
            for status, column in self._statuses.items():
                if counts[index, column]:
                    label = f'route="{route}",status="{status}"'
                    yield f"movierec_requests_total{{{label}}} {counts[index, column]:.0f}"
        yield "# TYPE movierec_request_seconds histogram"
        for route, index in self._routes.items():
            if not buckets[index].any():
                continue
            for bound, total in zip(BUCKETS, np.cumsum(buckets[index]), strict=True):
                le = "+Inf" if bound == np.inf else f"{bound:g}"
                yield f'movierec_request_seconds_bucket{{route="{route}",le="{le}"}} {total:.0f}'
            yield f'movierec_request_seconds_sum{{route="{route}"}} {seconds[index, 0]:.6f}'
            yield f'movierec_request_seconds_count{{route="{route}"}} {buckets[index].sum():.0f}'


class Observed:
    """ASGI middleware: counts each request, and gives its answer the id that it came with, or one."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", _request_id(scope))]
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        finally:
            path = getattr(scope.get("route"), "path_format", "")
            self._metrics.add(f"{scope['method']} {path}", status, time.perf_counter() - started)


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return bytes(value)
    return secrets.token_hex(16).encode()
