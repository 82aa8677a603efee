"""Reloads under constant load, processes killed under load, and 10,000 malformed requests: `python -m bench reload`.

No answer may be of a version older than the last one acknowledged before its request was sent.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from bench.endpoint import ROOT, SHAPES, TOKEN, build, running
from bench.goals import goal

RELOADS = 140  # one of seven is refused
GOOD, TRUNCATED, OTHER_FORMAT, MISSING = (1, 2, 3, 4), 5, 6, 7
FUZZED = 10_000


@dataclass
class Watch:
    """What is committed, as the callers know it."""

    sequence: list[int] = field(default_factory=list)  # versions asked for, in order, refused ones left out
    acknowledged: int = 0  # index of the last acknowledged one
    over: bool = False
    latencies: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    older: int = 0


async def caller(client: httpx.AsyncClient, watch: Watch, kind: str) -> None:
    """One request after the other."""
    while not watch.over:
        before, started = watch.acknowledged, time.perf_counter()
        try:
            if kind == "GET":
                answer = await client.get("/recommend/1000005")
            else:
                answer = await client.post("/recommend", json={"user_id": "1000005", "genre": ["Genre 3"]})
        except httpx.TransportError as error:
            watch.outcomes[f"{kind} {type(error).__name__}"] += 1
            continue
        watch.latencies.append(time.perf_counter() - started)
        watch.outcomes[f"{kind} {answer.status_code}"] += 1
        if answer.status_code == 200:
            watch.older += answer.json()["model_version"] not in watch.sequence[before:]


async def reloads(client: httpx.AsyncClient, watch: Watch) -> Counter[str]:
    """`RELOADS` of them, each seventh a bad one; the answers by status."""
    statuses: Counter[str] = Counter()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    bad = (TRUNCATED, OTHER_FORMAT, MISSING)
    for number in range(RELOADS):
        refused = number % 7 == 6
        version = bad[number // 7 % 3] if refused else GOOD[number % 4]
        if not refused:
            watch.sequence.append(version)
        answer = await client.post("/reload", json={"version": version}, headers=headers, timeout=60)
        statuses[f"{'bad' if refused else 'good'} {answer.status_code}"] += 1
        if not refused:
            watch.acknowledged = len(watch.sequence) - 1
    return statuses


async def under_load(port: int, work: str, pid: int = 0) -> tuple[Watch, Counter[str]]:
    """Eight callers by GET and two by POST while `work` is done."""
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
        served = (await client.get("/model")).json()["version"]
        watch = Watch([served])
        callers = [asyncio.create_task(caller(client, watch, kind)) for kind in ["GET"] * 6 + ["POST"] * 2]
        if work == "reloads":
            done = await reloads(client, watch)
        else:
            done = Counter()
            await asyncio.sleep(1)
            os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(4)
        watch.over = True
        await asyncio.gather(*callers)
    return watch, done


def main() -> bool:
    """All parts on a model of MovieLens-100k's shape; whether every goal is met."""
    with tempfile.TemporaryDirectory(prefix="movierec-bench-") as folder:
        home = Path(folder)
        store = home / "warehouse" / "models"
        for version in (*GOOD, TRUNCATED, OTHER_FORMAT):
            build(home, SHAPES["ml-100k"], version, seed=version)
        os.truncate(store / str(TRUNCATED) / "top_items.npy", 1000)
        manifest = store / str(OTHER_FORMAT) / "manifest.json"
        text = manifest.read_text().replace('"format_version": 1', '"format_version": 9')
        manifest.unlink()
        manifest.write_text(text)
        with running("ours", home) as (port, pid):
            _first(port)
            watch, statuses = asyncio.run(under_load(port, "reloads"))
            p50, p99 = np.percentile(watch.latencies, [50, 99]) * 1e3
            print(
                f"reloads: {dict(statuses)}\nanswers: {dict(watch.outcomes)}; p50 {p50:.1f} ms, p99 {p99:.1f} ms"
            )
            failed = sum(n for outcome, n in watch.outcomes.items() if not outcome.endswith(" 200"))
            met = [
                goal("reload_older_answers", watch.older, 0, digits=0),
                goal("reload_failed_requests", failed, 0, digits=0),
                goal("reloads_good", statuses["good 200"], 100, at_most=False, digits=0),
                goal("reload_bad_accepted", statuses["bad 200"], 0, digits=0),
            ]
            for kind, victim in _victims(port, pid).items():
                watch, _ = asyncio.run(under_load(port, "kill", victim))
                longest = max(watch.latencies)
                print(f"SIGKILL of {kind}: {dict(watch.outcomes)}; longest answer {longest:.2f} s")
            met.append(_fuzz(port))
    return all(met)


def _first(port: int) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    httpx.post(f"http://127.0.0.1:{port}/reload", json={"version": 4}, headers=headers).raise_for_status()


def _victims(port: int, pid: int) -> dict[str, int]:
    api = int(httpx.get(f"http://127.0.0.1:{port}/model").json()["pid"])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    spawned = [one for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]
    return {"an API process": api, "a worker": int(spawned[0])}


def _fuzz(port: int) -> bool:
    sys.path.insert(0, str(ROOT / "tests" / "serving"))
    import fuzz  # the tests' own, with more requests

    rng, statuses = random.Random(11), Counter()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as client:
        for number in range(FUZZED):
            if number % 50 == 0:
                fuzz.break_off(port, rng)
            try:
                statuses[str(fuzz.send(client, rng).status_code)] += 1
            except httpx.TransportError as error:
                statuses[type(error).__name__] += 1
    print(f"{FUZZED} malformed requests: {dict(sorted(statuses.items()))}")
    wrong = sum(
        n for status, n in statuses.items() if not status.isdecimal() or int(status) not in fuzz.DOCUMENTED
    )
    return goal("fuzz_undocumented", wrong, 0, digits=0)
