"""A steady stream of requests, and what became of each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import httpx
import numpy as np

PAUSE_S = 0.02


class Stream:
    """Sends `GET /recommend` one after the other, in a thread, for the time of the block."""

    def __init__(self, endpoint: str, users: Sequence[str]) -> None:
        self._endpoint, self._users = endpoint, users
        self._stop = threading.Event()
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self.sent = 0
        self.seconds: list[float] = []
        self.failures: list[str] = []
        self.versions: set[int] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def run_on(self, requests: int) -> None:
        """Return after so many more requests."""
        with self._more:
            target = self.sent + requests
            self._more.wait_for(lambda: self.sent >= target, timeout=60)

    def percentile(self, percent: float) -> float:
        """Seconds within which so many per cent of the requests were answered."""
        return float(np.percentile(self.seconds, percent))

    def _send(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._stop.wait(PAUSE_S):
                user = self._users[self.sent % len(self._users)]
                try:
                    answer = client.get(f"{self._endpoint}/recommend/{user}")
                    answer.raise_for_status()
                    self.seconds.append(answer.elapsed.total_seconds())
                    self.versions.add(answer.json()["model_version"])
                except httpx.HTTPError as error:
                    self.failures.append(f"{type(error).__name__}: {error}")
                with self._more:
                    self.sent += 1
                    self._more.notify_all()


def served_at(endpoint: str) -> int | None:
    """The version that an endpoint answers from; None while it has none or does not answer."""
    try:
        answer = httpx.get(f"{endpoint}/model", timeout=5)
    except httpx.TransportError:
        return None
    return int(answer.json()["version"]) if answer.is_success else None
