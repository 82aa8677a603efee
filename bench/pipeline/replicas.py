"""Ten endpoints that have only an object store in common: `python -m bench replicas`.

A real daemon, real endpoints with a folder each, a real S3 server on loopback. When a version is
promoted one of them reaches the store slowly, one is down, and one has a full disk. Meanwhile each
is asked for lists without a pause.
"""

from __future__ import annotations

import logging
import resource
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx

from bench.goals import goal
from bench.pipeline.small_platform import Platform, platform
from demo.processes import wait_until
from demo.stream import served_at
from tests.support.bucket import Fault, bucket, proxied

ENDPOINTS, SLOW, DOWN, FULL = 10, "H", "I", "J"
DEADLINE_S = 420.0
FOREVER = 1_000_000  # times


class Watch:
    """Asks every endpoint for a list, again and again, and counts what it gets."""

    def __init__(self, names: dict[str, str]) -> None:
        self.answers: Counter[tuple[str, int, int]] = Counter()  # endpoint, status, version
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=endpoint, daemon=True)
            for endpoint in names.items()
        ]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, name: str, url: str) -> None:
        with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
            while not self._ended.wait(0.1):
                try:
                    answer = client.get("/recommend/u1")
                except httpx.TransportError:
                    self.answers[name, 0, 0] += 1  # it is down
                    continue
                version = answer.json().get("model_version", 0)
                self.answers[name, answer.status_code, version] += 1


def main() -> bool:
    """Print the table; whether all converged, and no list was of a version never promoted."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="movierec-replicas-") as name, bucket() as shared:
        folder = Path(name)
        with proxied(shared.upstream) as slow:
            slow.faults.append(Fault("slow", times=FOREVER))

            def own(endpoint: str) -> dict[str, str]:
                home = folder / endpoint
                (home / "warehouse").mkdir(parents=True, exist_ok=True)
                address = slow.address if endpoint == SLOW else shared.address
                return {"MOVIEREC_HOME": str(home), "AWS_ENDPOINT_URL": address}

            with platform(
                folder / "home",
                ENDPOINTS,
                own,
                MOVIEREC_STORE="s3://bucket/movierec",
                MOVIEREC_SERVING_API_PROCESSES="1",
            ) as site:
                return promotion(site, own(DOWN))


def promotion(site: Platform, own: dict[str, str]) -> bool:
    """Promote a version while three of the ten are in trouble, then take the trouble away."""
    urls = dict(zip(site.names, site.urls, strict=True))
    full = [site.processes[FULL].pid, *site.children(FULL)]
    site.stop(DOWN)
    for pid in full:
        limit_files(pid, 1000)
    with Watch(urls) as watch:
        began = time.perf_counter()
        site.promote(2)
        times = {name: arrival(urls[name], began) for name in urls if name not in (DOWN, FULL)}
        site.failed(1, "2 of 10 endpoints")
        for pid in full:
            limit_files(pid, resource.RLIM_INFINITY)
        healed = time.perf_counter()
        times[FULL] = arrival(urls[FULL], healed)
        started = time.perf_counter()
        site.start(DOWN, **own)
        times[DOWN] = arrival(urls[DOWN], started)
    what = {SLOW: "0.2 s a request of the store", DOWN: "from its start", FULL: "from its disk"}
    print("| endpoint | seconds until it serves the version | |\n|---|---|---|")
    for name in urls:
        print(f"| {name} | {times[name]:.1f} | {what.get(name, '')} |")
    print("")
    answered = {(status, version) for _, status, version in watch.answers if status}
    print(f"answers: {sum(watch.answers.values())}, (status, version): {sorted(answered)}")
    wrong = sum(
        count
        for (name, status, version), count in watch.answers.items()
        if status and (status, version) not in ((200, 1), (200, 2)) and name != DOWN
    )
    return all(
        (
            goal("answers that are no list of version 1 or 2", wrong, 0, digits=0),
            goal("slowest of the sound endpoints, s", max(times[name] for name in "ABCDEFG"), 60),
            goal("slowest of those in trouble, s", max(times[name] for name in "HIJ"), 320),
        )
    )


def arrival(url: str, began: float) -> float:
    """Seconds from `began` until the endpoint serves version 2."""
    wait_until(lambda: served_at(url) == 2, f"{url} serves version 2", DEADLINE_S)
    return time.perf_counter() - began


def limit_files(pid: int, size: int) -> None:
    """No file that this process writes may be larger, as on a disk that is full."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
