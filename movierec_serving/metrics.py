"""What the endpoint counts, over all its processes, and a middleware that counts and names each
request.

prometheus-client's multiprocess mode: each process maps files of its own in
PROMETHEUS_MULTIPROC_DIR, which has to be set before this is imported. The counts of a process that
died stay; what it had open goes with it.
"""

import multiprocessing
import os
import re
import secrets
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # seconds
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
Found = TypeVar("Found")
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

REQUESTS = Counter("movierec_requests", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram(
    "movierec_request_duration_seconds", "Time to answer", ["method", "route"], buckets=BUCKETS
)
RELOADS = Counter("movierec_reloads", "Reloads asked for", ["result"])
FALLBACKS = Counter(
    "movierec_fallbacks", "Lists of popular movies instead of a user's own", ["reason"]
)
REJECTED = Counter(
    "movierec_overload_rejections", "Requests refused because too many waited for workers"
)
OPENED = Gauge(
    "movierec_open_model_version",
    "What a process has open",
    ["process"],
    multiprocess_mode="liveall",
)

count_request = cache(REQUESTS.labels)  # looking labels up costs as much as counting
time_request = cache(SECONDS.labels)


def opened(version: int) -> None:
    OPENED.labels(multiprocessing.current_process().name).set(version)


def processes() -> list[dict[str, Any]]:
    """What each living process has open."""
    found = [
        {
            "process": sample.labels["process"],
            "pid": int(sample.labels["pid"]),
            "version": int(sample.value),
        }
        for metric in _once_whole(lambda: list(_registry().collect()))
        if metric.name == "movierec_open_model_version"
        for sample in metric.samples
    ]
    return sorted(found, key=lambda one: (one["process"], one["pid"]))


def exposition(version: int) -> bytes:
    """Prometheus' text format."""

    def look() -> bytes:
        registry = _registry()
        registry.register(_Committed(version))
        return generate_latest(registry)

    return _once_whole(look)


def _once_whole(look: Callable[[], Found]) -> Found:
    """A process that starts makes its files empty and then gives them their size: for a moment they
    cannot be read.
    """
    for _ in range(100):
        try:
            return look()
        except struct.error:
            time.sleep(0.001)
    return look()


class _Committed(Collector):
    def __init__(self, version: int) -> None:
        self._version = version

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "movierec_model_version", "The committed version, 0 for none", self._version
        )


def _registry() -> CollectorRegistry:
    """A fresh one for each look, as the multiprocess mode demands; without what dead processes had
    open.
    """
    directory = os.environ[DIRECTORY]
    for path in Path(directory).glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except OSError:
            with suppress(FileNotFoundError):  # somebody else looks, too
                mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]
    return registry


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
            route, method = scope.get("route"), scope["method"]
            # What a caller makes up must not become a label: there would be no end of them.
            labels = (
                (method, route.path_format)
                if route and method in route.methods
                else ("other", "other")
            )
            count_request(*labels, status).inc()
            time_request(*labels).observe(time.perf_counter() - started)


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return bytes(value)
    return secrets.token_hex(16).encode()
