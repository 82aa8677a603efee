"""Callers at a constant rate while versions change: what they saw, and whether it was of an older
version.

A latency counts from the moment at which its request was due, so that a pause is not left out.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.serving.client import Connection, get, post, reload
from bench.serving.lists import opened, users

CALLERS = ("GET",) * 6 + ("POST",) * 2
RATE = 200  # requests a second, of all callers
PATIENCE = 10.0  # seconds until a caller gives up


class Seen(NamedTuple):
    """One request: when it was due, seconds until its answer, status or cause, whether it was of an
    older version.
    """

    due: float
    seconds: float
    outcome: str
    older: bool


@dataclass
class Watch:
    """What is committed, as callers know it, and what they saw."""

    sequence: list[int] = field(
        default_factory=list
    )  # versions asked for, in order, refused ones left out
    acknowledged: int = 0  # index of the last acknowledged one
    over: bool = False
    seen: list[Seen] = field(default_factory=list)
    recovered: int = 0  # answers from 5 s after a disturbance on

    async def reload(self, port: int, version: int, refused: bool = False) -> str:
        """Status; only for one reload at a time."""
        if not refused:
            self.sequence.append(version)
        try:
            status, _ = await asyncio.to_thread(reload, port, version)
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__  # it may be committed all the same: newer is not older
        if status == 200:
            self.acknowledged = len(self.sequence) - 1
        return str(status)

    async def two(self, port: int, first: int, other: int) -> list[str]:
        """Two reloads at once, of versions that are not served: the later one says that the other
        was before it.
        """
        self.sequence += [first, other]
        answers = await asyncio.gather(
            *(asyncio.to_thread(reload, port, version) for version in (first, other))
        )
        last = first if answers[0][1].get("previous") == other else other
        self.sequence.append(last)
        self.acknowledged = len(self.sequence) - 1
        return [str(status) for status, _ in answers]

    def outcomes(self, since: float = 0.0, until: float = float("inf")) -> Counter[str]:
        return Counter(request.outcome for request in self.seen if since <= request.due < until)

    def p99(self, since: float = 0.0, until: float = float("inf")) -> float:
        """In ms."""
        return (
            float(
                np.percentile(
                    [request.seconds for request in self.seen if since <= request.due < until], 99
                )
            )
            * 1e3
        )


@asynccontextmanager
async def load(port: int, watch: Watch, asked: dict[str, list[bytes]]) -> AsyncIterator[None]:
    """Callers with a connection each, while the block runs."""
    start, pause = time.perf_counter(), len(CALLERS) / RATE

    async def caller(number: int, kind: str) -> None:
        connection, due = Connection(port, PATIENCE), start + pause * number / len(CALLERS)
        start_at = 97 * number % len(asked[kind])
        for request in cycle(asked[kind][start_at:] + asked[kind][:start_at]):
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            if watch.over:
                break
            before = watch.acknowledged
            outcome, version = await connection.ask(request)
            now = time.perf_counter()
            older = outcome == "200" and version not in watch.sequence[before:]
            watch.seen.append(Seen(due, now - due, outcome, older))
            due = max(due + pause, now - 1)  # what was due long ago is not made up for
        connection.close()

    tasks = [asyncio.create_task(caller(number, kind)) for number, kind in enumerate(CALLERS)]
    try:
        yield
    finally:
        watch.over = True
        await asyncio.gather(*tasks)


def requests_of(home: Path) -> dict[str, list[bytes]]:
    asked = users(opened(home))
    return {
        "GET": [get(f"/recommend/{user}") for user in asked],
        "POST": [post({"user_id": user}) for user in asked],
    }
