"""A signal to each kind of process under load, and what callers see of it second by second."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from itertools import cycle
from pathlib import Path

import httpx

from bench.goals import goal
from bench.serving.endpoint import Server, tree
from bench.serving.watch import Watch, load, requests_of


def kinds(server: Server) -> dict[str, int]:
    """A process of each kind, of ours and of LitServe's."""
    family = tree(server.process.pid)
    about = httpx.get(f"http://127.0.0.1:{server.port}/model", timeout=10).json()
    api = {process["pid"] for process in about["processes"] if process["process"].startswith("api")}
    worker = next(
        process["pid"] for process in about["processes"] if process["process"].startswith("worker")
    )
    ends = ("resource_tracker", "spawn_main")
    others = [
        pid
        for pid, process in family.items()
        if pid not in api | {worker, server.process.pid}
        and not any(end in process.command for end in ends)
    ]
    return {"main": server.process.pid, "manager": min(others), "api": min(api), "worker": worker}


async def disturb(server: Server, home: Path, kind: str, number: signal.Signals) -> Watch:
    """A signal to one process under load, while versions change; who supervises starts what has
    ended.
    """
    current = (await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{server.port}/model")).json()[
        "version"
    ]
    watch, pid = Watch([current]), kinds(server)[kind]
    counts: Counter[str] = Counter()

    async def supervise() -> None:
        while not watch.over:
            if server.process.poll() is not None:
                counts["restarts"] += 1
                server.start()
            await asyncio.sleep(0.05)

    async def reloads() -> None:
        for version in cycle([1, 2, 3, 4]):
            if watch.over:
                break
            counts[f"reload {await watch.reload(server.port, version)}"] += 1
            await asyncio.sleep(0.4)

    async with load(server.port, watch, requests_of(home)):
        tasks = [asyncio.create_task(task()) for task in (supervise, reloads)]
        await asyncio.sleep(2)
        at = time.perf_counter()
        os.kill(pid, number)
        if number == signal.SIGSTOP:
            await asyncio.sleep(3)
            os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(at + 9 - time.perf_counter())
    await asyncio.gather(*tasks)
    print(
        f"\n{number.name} of {kind}: {dict(counts)}; by second after it (stopped for 3 s), "
        "answers and failures:"
    )
    for second in range(-1, 9):
        within = [request for request in watch.seen if second <= request.due - at < second + 1]
        outcomes, longest = (
            Counter(request.outcome for request in within),
            max((request.seconds for request in within), default=0),
        )
        failed = ", ".join(f"{n} × {what}" for what, n in outcomes.items() if what != "200") or "–"
        print(f"| {second:+d} s | {outcomes['200']} | {failed} | {longest:.2f} s |")
    watch.recovered = watch.outcomes(at + 5)["200"]
    return watch


async def disturbed(server: Server, home: Path) -> bool:
    met, failures = [], Counter[str]()
    print("\n| second | answered 200 | failures | longest |\n|---|---|---|---|")
    for number in (signal.SIGKILL, signal.SIGSTOP):
        for kind in ("api", "worker", "manager", "main"):
            watch = await disturb(server, home, kind, number)
            bad = {what: n for what, n in watch.outcomes().items() if what != "200"}
            failures.update(bad)
            met.append(
                goal(
                    f"{number.name}_{kind}_older_answers",
                    sum(request.older for request in watch.seen),
                    0,
                    digits=0,
                )
            )
            met.append(
                goal(
                    f"{number.name}_{kind}_answers_again",
                    watch.recovered,
                    1,
                    at_most=False,
                    digits=0,
                )
            )
            await asyncio.to_thread(server.wait)
    print(f"\nfailures of requests while processes were killed and stopped: {dict(failures)}")
    return all(met)
