"""Reloads under constant load, processes killed and stopped under load, malformed requests: `python
-m bench reload`.

No answer may be of a version older than the last one that was acknowledged before its request was
sent. The load is constant, not as much as possible: a latency counts from the moment at which its
request was due.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import scipy.stats

from bench.goals import goal
from bench.serving.client import reload
from bench.serving.disturb import disturbed
from bench.serving.endpoint import ROOT, Server, mapped_mb, ours, running
from bench.serving.published import BAD, CACHE, SHAPES, copy_version, published
from bench.serving.watch import PATIENCE, RATE, Watch, load, requests_of

PAIRS = int(os.environ.get("BENCH_PAIRS", "20"))
WINDOW = 1.5  # seconds
RELOADS = 120
FUZZED = 10_000


# -- windows ---------------------------------------------------------------------------------------


async def windows(name: str, server: Server, home: Path) -> bool:
    """Steady, one reload, reloads without a pause, in turn: their p99, the longest pause, and
    memory meanwhile.
    """
    watch, rng = Watch([1]), random.Random(3)
    p99: dict[str, list[float]] = {"steady": [], "one reload": [], "continuous": []}
    longest, reloads = dict.fromkeys(p99, 0.0), Counter[str]()

    async def window(kind: str) -> None:
        begun = time.perf_counter()
        while time.perf_counter() < begun + WINDOW:
            if kind == "continuous" or (kind == "one reload" and reloads[kind] <= len(p99[kind])):
                status = await watch.reload(server.port, 3 - watch.sequence[-1])
                assert status == "200", status
                reloads[kind] += 1
            else:
                await asyncio.sleep(0.05)
        ended = time.perf_counter()
        await asyncio.sleep(
            0.3
        )  # answers that are on their way, and what the last reload left to do
        p99[kind].append(watch.p99(begun, ended))
        longest[kind] = max(
            longest[kind],
            *(request.seconds for request in watch.seen if begun <= request.due < ended),
        )

    async with load(server.port, watch, requests_of(home)):
        await asyncio.sleep(1)
        for _ in range(PAIRS):
            for kind in rng.sample(list(p99), 3):
                await window(kind)
        timed = len(watch.seen)
        peak = await _memory(watch, server, home)
    size = (
        sum(file.stat().st_size for file in (home / "warehouse" / "models" / "1").iterdir()) / 2**20
    )
    print(
        f"\n{name}: {timed} requests at {RATE}/s, {PAIRS} windows of {WINDOW:g} s of each kind, "
        "paired"
    )
    print(
        "| | reloads | median p99 ms | over steady | 95 % | longest ms |\n|---|---|---|---|---|---|"
    )
    medians = {}
    for kind, values in p99.items():
        ratios = np.array(values) / np.array(p99["steady"])
        medians[kind] = float(np.median(ratios))
        low, high = (
            (1.0, 1.0)
            if kind == "steady"
            else scipy.stats.bootstrap((ratios,), np.median, rng=0).confidence_interval
        )
        print(
            f"| {kind} | {reloads[kind]} | {np.median(values):.1f} | {medians[kind]:.2f} | "
            f"{low:.2f} to {high:.2f} "
            f"| {longest[kind] * 1e3:.0f} |"
        )
    print(
        f"models in memory {peak:.0f} MB at most, each page once; a published one has {size:.0f} MB"
    )
    outcomes = watch.outcomes()
    return all(
        [
            goal(f"{name}_p99_reloading_over_steady", medians["continuous"], 1.2, digits=2),
            goal(f"{name}_p99_one_reload_over_steady", medians["one reload"], 1.2, digits=2),
            goal(f"{name}_memory_in_bundles", peak / size, 2.0, digits=2),
            goal(
                f"{name}_older_answers", sum(request.older for request in watch.seen), 0, digits=0
            ),
            goal(f"{name}_failed_requests", outcomes.total() - outcomes["200"], 0, digits=0),
        ]
    )


async def _memory(watch: Watch, server: Server, home: Path) -> float:
    """MB of models in memory, at most, while it reloads; looking at them slows a process down, so
    it is not timed.
    """
    peak, until = 0.0, time.perf_counter() + 5
    while time.perf_counter() < until:
        reloading = asyncio.create_task(watch.reload(server.port, 3 - watch.sequence[-1]))
        while not reloading.done():
            peak = max(peak, mapped_mb(server.process.pid, home))
            await asyncio.sleep(0.05)
    return peak


# -- bad versions, two at once ---------------------------------------------------------------------


async def mixed(server: Server, home: Path, store: Path) -> bool:
    """Good and bad versions, one at a time and two at once, and nobody is killed: no request may
    fail.
    """
    watch, statuses = Watch([1]), Counter[str]()
    async with load(server.port, watch, requests_of(home)):
        await watch.reload(server.port, 2)
        for number in range(RELOADS):
            await asyncio.sleep(0.1)
            if number % 6 == 5:
                others = [version for version in (1, 2, 3, 4) if version != watch.sequence[-1]]
                first, other = random.Random(number).sample(others, 2)
                statuses.update(
                    f"two at once {status}" for status in await watch.two(server.port, first, other)
                )
            elif number % 6 == 2:
                cause = BAD[number // 6 % len(BAD)]
                statuses[
                    f"{cause} {await watch.reload(server.port, 5 + BAD.index(cause), refused=True)}"
                ] += 1
            else:
                statuses[f"good {await watch.reload(server.port, 1 + number % 4)}"] += 1
    outcomes = watch.outcomes()
    print(f"\nreloads: {dict(statuses)}\nanswers: {dict(outcomes)}, p99 {watch.p99():.1f} ms")
    good = sum(
        number for what, number in statuses.items() if what in ("good 200", "two at once 200")
    )
    accepted = sum(
        number
        for what, number in statuses.items()
        if what.startswith(BAD) and what.endswith(" 200")
    )
    return all(
        [
            goal("reloads_good", good, 100, at_most=False, digits=0),
            goal("reload_bad_accepted", accepted, 0, digits=0),
            goal("reload_older_answers", sum(request.older for request in watch.seen), 0, digits=0),
            goal("reload_failed_requests", outcomes.total() - outcomes["200"], 0, digits=0),
        ]
    )


# -- malformed requests ----------------------------------------------------------------------------


def fuzz(port: int) -> bool:
    sys.path.insert(0, str(ROOT / "tests" / "serving"))
    import fuzz as own  # type: ignore[import-not-found] # the tests' own, with more requests

    rng, statuses = random.Random(11), Counter[str]()
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False
    ) as client:
        for number in range(FUZZED):
            if number % 50 == 0:
                own.break_off(port, rng)
            try:
                statuses[str(own.send(client, rng).status_code)] += 1
            except httpx.TransportError as error:
                statuses[type(error).__name__] += 1
    print(f"\n{FUZZED} malformed requests: {dict(sorted(statuses.items()))}")
    wrong = sum(
        n
        for status, n in statuses.items()
        if not status.isdecimal() or int(status) not in own.DOCUMENTED
    )
    return goal("fuzz_undocumented", wrong, 0, digits=0)


Work = Callable[[Server, Path], Coroutine[Any, Any, bool]]


def main() -> bool:
    """All parts, or those that BENCH_PARTS names; whether every goal is met."""
    parts, met = os.environ.get("BENCH_PARTS", "windows,mixed,disturbed,fuzz").split(","), []
    for name in SHAPES:
        with tempfile.TemporaryDirectory(prefix="run-", dir=_cache()) as folder:
            home, source, small = Path(folder), published(name), name == "ml-100k"
            store = home / "warehouse" / "models"
            for version in (1, 2, 3, 4) if small else (1, 2):
                copy_version(source, store, version)
            for number, cause in enumerate(BAD if small else ()):
                copy_version(source, store, 5 + number, cause)
            server = ours(home)
            with running(server):
                reload(server.port, 1)
                if "windows" in parts:
                    met.append(asyncio.run(windows(name, server, home)))
                if "mixed" in parts and small:
                    reload(server.port, 1)
                    met.append(asyncio.run(mixed(server, home, store)))
                if "disturbed" in parts and small:
                    met.append(asyncio.run(disturbed(server, home)))
                if "fuzz" in parts and small:
                    met.append(fuzz(server.port))
    return all(met)


def _cache() -> Path:
    CACHE.mkdir(mode=0o700, exist_ok=True)
    return CACHE
