"""What the endpoint counts, over all its processes, and how Prometheus reads it.

Whoever counts calls a function of this module, which never fails: an answer is worth more than its
count. Where the counts lie is `slots.py`'s; the middleware that counts requests is
`http/middleware/observed.py`.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
    values,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from movierec_serving import slots

Arguments = ParamSpec("Arguments")

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # seconds


def _choose_place() -> None:
    """Where values lie, which prometheus-client wants to know before the first is made.

    In the slots, or in this process alone where there are none.
    """
    directory = os.environ.get(slots.DIRECTORY)
    slot = slots.OwnSlot(Path(directory)) if directory else None
    if slot is None or slot.number is None:
        values.ValueClass = values.MutexValue
    else:
        values.ValueClass = values.MultiProcessValue(slot)  # type: ignore[no-untyped-call]


_choose_place()
REQUESTS = Counter("movierec_requests", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram(
    "movierec_request_duration_seconds", "Time to answer", ["method", "route"], buckets=BUCKETS
)
RELOADS = Counter("movierec_reloads", "Reloads asked for", ["result"])
LISTS = Counter("movierec_lists", "Lists answered")
FALLBACKS = Counter(
    "movierec_fallbacks", "Lists of popular movies, or of none, instead of a user's own", ["reason"]
)
REJECTED = Counter(
    "movierec_overload_rejections", "Requests refused because too many waited for workers"
)
DROPPED = Counter(
    "movierec_dropped_connections", "Connections closed on clients that were too slow", ["reason"]
)
LOST_LISTS = Counter("movierec_lost_lists", "Lists that were shown and could not be written down")
ARM_FAILURES = Counter(
    "movierec_arm_failures",
    "Lists that production made because an arm's version was broken",
    ["arm"],
)
BATCH = Histogram(
    "movierec_batch_users",
    "Users of one `POST /recommend`, which are one batch for the kernel",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
WAITING = Gauge(
    "movierec_waiting_requests",
    "Requests of a process that wait for workers",
    ["process"],
    multiprocess_mode="all",
)
OPENED = Gauge(
    "movierec_open_model_version",
    "The version that a process has open",
    ["process"],
    multiprocess_mode="all",
)

OPEN_VERSION = "movierec_open_model_version"
BY_PROCESS = (OPEN_VERSION, "movierec_waiting_requests")

for _result in ("changed", "unchanged", "refused", "missing", "busy"):
    RELOADS.labels(_result)  # from 0 on: of a series that begins with 1 Prometheus sees no increase

_requests = cache(REQUESTS.labels)  # looking labels up costs as much as counting
_seconds = cache(SECONDS.labels)


def _unfailing(count: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Without a slot nothing is counted, which was logged once, and the caller goes on."""

    @wraps(count)
    def counted(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            count(*args, **kwargs)
        except OSError:
            return

    return counted


@_unfailing
def count_request(method: str, route: str, status: int, seconds: float) -> None:
    _requests(method, route, status).inc()
    _seconds(method, route).observe(seconds)


@_unfailing
def count(counter: Counter, *labels: str) -> None:
    """Count one of what a counter counts, by its labels if it has any."""
    (counter.labels(*labels) if labels else counter).inc()


@_unfailing
def count_lists(reasons: Sequence[str | None]) -> None:
    """Count lists of one answer: why each is a fallback, or None."""
    LISTS.inc(len(reasons))
    for reason in reasons:
        if reason is not None:
            FALLBACKS.labels(reason).inc()


@_unfailing
def count_lost_lists(number: int) -> None:
    LOST_LISTS.inc(number)


@_unfailing
def count_batch(users: int) -> None:
    BATCH.observe(users)


@_unfailing
def waiting(requests: int) -> None:
    WAITING.labels(multiprocessing.current_process().name).set(requests)


@_unfailing
def opened(version: int) -> None:
    OPENED.labels(multiprocessing.current_process().name).set(version)


def processes() -> list[dict[str, Any]]:
    """What each living process has open: its name, pid and version."""
    open_versions = [
        {
            "process": sample.labels["process"],
            "pid": int(sample.labels["pid"]),
            "version": int(sample.value),
        }
        for metric in _Counts().collect()
        if metric.name == OPEN_VERSION
        for sample in metric.samples
    ]
    return sorted(open_versions, key=lambda each: (each["process"], each["pid"]))


def exposition(version: int, data_until: str | None) -> bytes:
    """Prometheus' text format.

    Args:
        version: the committed one, 0 for none.
        data_until: the last day (ISO) that it has seen; None where it cannot be opened.
    """
    registry = CollectorRegistry()
    registry.register(_Counts())
    registry.register(_Committed(version, data_until))
    return generate_latest(registry)


class _Committed(Collector):
    def __init__(self, version: int, data_until: str | None) -> None:
        self._version, self._data_until = version, data_until

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "movierec_model_version", "The committed version, 0 for none", self._version
        )
        if self._data_until is not None:
            day = datetime.fromisoformat(self._data_until).replace(tzinfo=UTC)
            yield GaugeMetricFamily(
                "movierec_model_data_until_timestamp_seconds",
                "Beginning of the last day whose ratings the committed version has seen",
                day.timestamp(),
            )


class _Counts(Collector):
    """The sum of all slots; nothing where they have vanished.

    What dead processes counted stays, what they had open goes with them.
    """

    def collect(self) -> Iterable[Metric]:
        directory = Path(os.environ.get(slots.DIRECTORY, ""))
        pids = slots.owners(directory)
        files = [*directory.glob("counter_*.db"), *directory.glob("histogram_*.db")]
        files += [directory / f"gauge_all_{number}.db" for number in pids]
        merge: Callable[[list[str]], Iterable[Metric]] = MultiProcessCollector.merge
        try:
            merged = merge([str(file) for file in files])
        except FileNotFoundError:
            return
        for metric in merged:
            if metric.name in BY_PROCESS:
                metric.samples = [
                    sample._replace(
                        labels={**sample.labels, "pid": str(pids[int(sample.labels["pid"])])}
                    )
                    for sample in metric.samples
                ]
            yield metric
