"""GETs while a day is ingested, trained, judged and deployed on the cores that answer them:
`python -m bench beside_a_day`.

A home of MovieLens 100k's shape, generated: ten days of history, then pairs of days. Of a pair one
is run under a load of 200 requests a second, after a while of that load alone, and one without it.
A latency counts from the moment at which its request was due. The caller is a process on the same
cores. BENCH_RATINGS asks for more ratings.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import numpy as np

from bench.goals import goal
from bench.models.generator import FIRST_DAY, Ratings, generate
from bench.pipeline.platform import ROOT, copy_home_files
from bench.serving.client import get
from bench.serving.endpoint import TOKEN, Server, ours, running
from bench.serving.watch import Watch, load

PAIRS = int(os.environ.get("BENCH_PAIRS", "10"))
HISTORY = 10  # days
IDLE = 8.0  # seconds of load alone
RATINGS = int(os.environ.get("BENCH_RATINGS", "105000"))
SIZE = {
    "users": max(943, RATINGS // 181),
    "movies": 1682 if RATINGS < 1_000_000 else 20_000,
    "ratings": RATINGS,
    "days": HISTORY + 2 * PAIRS,
}


def main() -> bool:
    """A row for each pair; whether every goal is met."""
    with tempfile.TemporaryDirectory(prefix="movierec-bench-") as folder:
        home = Path(folder)
        copy_home_files(home)
        server = ours(home)
        ratings = list(generate(**SIZE))
        days = [each.day for each in ratings]
        os.environ |= {
            "DAGSTER_HOME": folder,
            "MOVIEREC_HOME": folder,
            "MOVIEREC_DAGSTER_DIR": f"{folder}/warehouse/dagster",
            "MOVIEREC_ENDPOINTS": f"http://127.0.0.1:{server.port}",
            "MOVIEREC_PARTITION_START": FIRST_DAY.isoformat(),
            "MOVIEREC_PARTITION_END": days[-1],
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONPATH": str(ROOT),
        }
        (home / ".env").write_text(f"MOVIEREC_RELOAD_TOKEN={TOKEN}\n")
        _deliver(home, ratings)
        with running(server):
            _run(home, days[0], days[HISTORY - 1])
            users = np.unique(np.concatenate([each.users for each in ratings[:HISTORY]]))
            asked = [get(f"/recommend/u{user}") for user in users[:500]]
            print("| idle p99 ms | p99 beside | longest | not 200 | day, s | alone, s |")
            print("|---|---|---|---|---|---|")
            rows = [
                _pair(home, server, asked, days[HISTORY + 2 * pair : HISTORY + 2 * pair + 2])
                for pair in range(PAIRS)
            ]
    idle, beside, longest, failed, day, alone = np.array(rows).T
    return all(
        [
            goal("beside_a_day_p99_over_idle", float(np.median(beside / idle)), 2, digits=2),
            goal("beside_a_day_longest_ms", float(np.median(longest)), 100, digits=0),
            goal("beside_a_day_not_200", float(failed.sum()), 0, digits=0),
            goal("day_under_load_over_alone", float(np.median(day / alone)), 1.1, digits=2),
        ]
    )


def _pair(home: Path, server: Server, asked: list[bytes], days: list[str]) -> list[float]:
    """A day under load and the next one without it."""
    idle, _ = asyncio.run(_loaded(server, asked, lambda: time.sleep(IDLE)))
    beside, day = asyncio.run(_loaded(server, asked, lambda: _run(home, days[0], days[0])))
    began = time.perf_counter()
    _run(home, days[1], days[1])
    row = [
        idle.p99(),
        beside.p99(),
        max(request.seconds for request in beside.seen) * 1e3,
        float(sum(request.outcome != "200" for request in beside.seen)),
        day,
        time.perf_counter() - began,
    ]
    print("| " + " | ".join(f"{value:.1f}" for value in row) + " |", flush=True)
    return row


async def _loaded(
    server: Server, asked: list[bytes], work: Callable[[], None]
) -> tuple[Watch, float]:
    """What callers saw during a work, and its seconds."""
    watch, began = Watch([0]), time.perf_counter()
    async with load(server.port, watch, {"GET": asked, "POST": asked}):
        await asyncio.to_thread(work)
        took = time.perf_counter() - began
    return watch, took


def _run(home: Path, first: str, last: str) -> None:
    """Days from their chunks to the endpoint, in a process as a run's worker is one."""
    with (home / "days.log").open("ab") as log:
        command = [sys.executable, "-m", "bench.serving.beside_a_day", first, last]
        done = subprocess.run(command, cwd=home, stdout=log, stderr=log)
    if done.returncode:
        raise RuntimeError((home / "days.log").read_text()[-3000:])


def _deliver(home: Path, ratings: list[Ratings]) -> None:
    from movierec_assets.cli.setup import set_up
    from movierec_assets.platform import wired

    set_up(home)
    landing = wired().landing_zone
    rows = "".join(f"m{movie},Film {movie},2000,Drama\n" for movie in range(SIZE["movies"]))
    landing.deliver_movies(b"movie_id,title,year,genres\n" + rows.encode())
    for each in ratings:
        landing.deliver(each.day, each.as_csv())


def _days(first: str, last: str) -> None:
    """In a process of its own: the daily job, the last day's version into production, deployed."""
    from movierec_assets.definitions import assemble
    from movierec_assets.partitions import RANGE_END, RANGE_START
    from movierec_assets.platform import wired

    platform = wired()
    jobs = assemble(platform)
    with dg.DagsterInstance.get() as instance:
        if not platform.model_registry.versions():
            jobs.resolve_job_def("catalogue").execute_in_process(instance=instance)
        jobs.resolve_job_def("daily").execute_in_process(
            instance=instance, tags={RANGE_START: first, RANGE_END: last}
        )
        newest = max(version.number for version in platform.model_registry.versions())
        pin = {"action": "pin", "version": newest, "reason": "the bench's turn"}
        jobs.resolve_job_def("set_production").execute_in_process(
            instance=instance, run_config={"ops": {"change_production": {"config": pin}}}
        )
        jobs.resolve_job_def("deploy").execute_in_process(instance=instance)


if __name__ == "__main__":
    _days(*sys.argv[1:])
