"""The endpoint beside what people would use instead: `python -m bench serving`.

All contenders answer the same lists on loopback from one published model, run at the same time and
are loaded in turn, several rounds. Models of two shapes are trained on generated ratings once and
kept in the temporary folder. The client is wrk where it is installed, else a bundled one; it shares
the cores, so CPU a user is what to compare first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.goals import goal
from bench.serving.client import get, post, reload, run_load
from bench.serving.contenders import contenders
from bench.serving.endpoint import Server, cpu, ours, running, tree
from bench.serving.lists import opened, users
from bench.serving.published import CACHE, SHAPES, copy_version, published

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "4"))
SECONDS = {1: 1, 64: 2, 1000: 2}  # by connections


class Figures(NamedTuple):
    """Of one load, a user's share of what was answered."""

    rate: float
    p50: float
    p99: float
    cpu: float
    errors: float


def workloads(home: Path) -> dict[tuple[str, str], tuple[list[bytes], int]]:
    """(contender, what it is asked) -> requests, and users in each."""
    model, rng = opened(home), np.random.default_rng(2)
    asked = users(model)
    items = [model.bundle.item_id(row) for row in range(len(model.bundle.item_ids))]
    rated = [
        [{"movie_id": items[i], "rating": 4.0} for i in rng.choice(len(items), 20, replace=False)]
        for _ in asked
    ]
    plain = [get(f"/recommend/{user}") for user in asked]
    fold = [post({"ratings": ratings}) for ratings in rated]
    genre = [
        get(f"/recommend/{user}?genre=Genre%203&exclude={ratings[0]['movie_id']}")
        for user, ratings in zip(asked, rated, strict=True)
    ]
    parts = [slice(start, start + 100) for start in range(0, 400, 50)]
    single = [post({"user_id": user}) for user in asked]
    frames = [
        post({"dataframe_split": {"columns": ["user_id"], "data": [[user]]}}, "/invocations")
        for user in asked
    ]
    return {
        ("ours", "GET plain"): (plain, 1),
        ("fastapi pydantic", "GET plain"): (plain, 1),
        ("fastapi bytes", "GET plain"): (plain, 1),
        ("ours", "GET genre, exclude"): (genre, 1),
        ("ours", "POST 100 users"): ([post({"users": asked[part]}) for part in parts], 100),
        ("fastapi kernel", "GET plain"): (plain, 1),
        ("fastapi numpy", "GET plain"): (plain, 1),
        ("ours", "POST 100 fold-ins"): (
            [post({"users": [{"ratings": r} for r in rated[part]]}) for part in parts],
            100,
        ),
        ("ours", "fold-in"): (fold, 1),
        ("fastapi kernel", "fold-in"): (fold, 1),
        ("fastapi numpy", "fold-in"): (fold, 1),
        ("ours", "POST one"): (single, 1),
        ("litserve predict", "POST one"): (single, 1),
        ("bentoml", "POST one"): (single, 1),
        ("mlflow serve", "POST one"): (frames, 1),
    }


def measure(name: str, home: Path) -> bool:
    """All contenders interleaved; the table, and whether every goal is met."""
    servers: dict[str, Server] = {"ours": ours(home), **contenders(home)}
    loads = {key: value for key, value in workloads(home).items() if key[0] in servers}
    figures: dict[tuple[str, str, int], list[Figures]] = defaultdict(list)
    with running(*servers.values()):
        reload(servers["ours"].port, 1)
        for (who, _), (requests, _) in loads.items():  # warm, and started whatever its port says
            _until_it_answers(servers[who], requests)
        idle = {who: -cpu(server.process.pid) for who, server in servers.items()}
        time.sleep(1)
        idle = {who: before + cpu(servers[who].process.pid) for who, before in idle.items()}
        print(
            "CPU-s in an idle second: "
            + ", ".join(f"{who} {used:.2f}" for who, used in idle.items())
        )
        for _ in range(ROUNDS):
            for (who, what), (requests, each) in loads.items():
                for connections, seconds in SECONDS.items():
                    server = servers[who]
                    before = cpu(server.process.pid)
                    load = run_load(server.port, requests, connections, seconds)
                    answered = max(load.answered * each, 1)
                    used = cpu(server.process.pid) - before
                    row = Figures(
                        answered / load.seconds,
                        load.p50,
                        load.p99,
                        used / answered * 1e6,
                        load.errors,
                    )
                    figures[who, what, connections].append(row)
                    _until_idle(server)
        print(
            f"\n{name}: {SHAPES[name]}, medians of {ROUNDS} rounds, wrk: "
            f"{bool(shutil.which('wrk'))}"
        )
        print(
            "| contender | asked | connections | users/s | p50 ms | p99 ms | CPU µs a user | not "
            "200 |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for (who, what, connections), rows in figures.items():
            rate, p50, p99, used, _ = np.median(rows, axis=0)
            errors = sum(row.errors for row in rows)
            print(
                f"| {who} | {what} | {connections} | {rate:.0f} | {p50:.2f} | {p99:.2f} | "
                f"{used:.0f} | {errors} |"
            )
        _memory(home, servers)
    return _goals(name, figures)


def _until_it_answers(server: Server, requests: list[bytes]) -> None:
    for _ in range(60):
        load = run_load(server.port, requests, 1, 1)
        if load.answered > load.errors:
            return
    raise RuntimeError(f"no answer of {server.command}: {server.log.read_text()[-2000:]}")


def _until_idle(server: Server) -> None:
    """What callers left behind when they went is computed all the same, and is not the next
    load's.
    """
    before, used = 0.0, cpu(server.process.pid)
    while used > before:
        time.sleep(0.05)
        before, used = used, cpu(server.process.pid)


def _memory(home: Path, servers: dict[str, Server]) -> None:
    size = (
        sum(file.stat().st_size for file in (home / "warehouse" / "models" / "1").iterdir()) / 2**20
    )
    print(f"\nmemory after all this, MB; the published model has {size:.0f}")
    print(
        "| contender | processes | private, all | largest | with shared pages, each once "
        "|\n|---|---|---|---|---|"
    )
    for who, server in servers.items():
        processes = tree(server.process.pid).values()
        private = sorted((process.private for process in processes), reverse=True)
        total = sum(process.private + process.shared for process in processes)
        print(f"| {who} | {len(private)} | {sum(private):.0f} | {private[0]:.0f} | {total:.0f} |")


def _goals(name: str, figures: dict[tuple[str, str, int], list[Figures]]) -> bool:
    """Ratios are of the same round, and the median of them counts."""

    def ratio(figure: str, connections: int, what: str, who: str, theirs: str) -> float:
        own, other = figures["ours", what, connections], figures[who, theirs, connections]
        pairs = zip(own, other, strict=True)
        return float(np.median([getattr(a, figure) / getattr(b, figure) for a, b in pairs]))

    def more(what: str, theirs: str) -> float:
        return ratio("rate", 64, what, "fastapi kernel", theirs)

    get_, p = "GET plain", f"{name}_"
    # 64 callers of 100 users each may ask for more than can be done by the deadline, and then get
    # 503 or 504.
    wrong = sum(
        row.errors
        for (who, what, connections), rows in figures.items()
        for row in rows
        if who == "ours" and (connections == 1 or "100" not in what)
    )
    return all(
        [
            goal(
                f"{p}get_cpu_over_pydantic", ratio("cpu", 64, get_, "fastapi pydantic", get_), 1.0
            ),
            goal(f"{p}get_cpu_over_bytes", ratio("cpu", 64, get_, "fastapi bytes", get_), 1.3),
            goal(f"{p}get_p50_over_pydantic", ratio("p50", 1, get_, "fastapi pydantic", get_), 1.1),
            goal(f"{p}post_100_users_over_kernel", more("POST 100 users", get_), 3, at_most=False),
            goal(
                f"{p}post_100_fold_ins_over_kernel",
                more("POST 100 fold-ins", "fold-in"),
                3,
                at_most=False,
            ),
            goal(
                f"{p}fold_in_cpu_over_kernel",
                ratio("cpu", 64, "fold-in", "fastapi kernel", "fold-in"),
                1.1,
            ),
            goal(
                f"{p}fold_in_p50_over_kernel",
                ratio("p50", 1, "fold-in", "fastapi kernel", "fold-in"),
                1.1,
            ),
            goal(f"{p}not_200", wrong, 0, digits=0),
        ]
    )


def main() -> bool:
    """Both shapes, or those that BENCH_SHAPES names; whether every goal is met."""
    met = []
    for name in os.environ.get("BENCH_SHAPES", ",".join(SHAPES)).split(","):
        source = published(name)
        with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
            copy_version(source, Path(folder) / "warehouse" / "models", 1)
            met.append(measure(name, Path(folder)))
    return all(met)
