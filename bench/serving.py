"""The endpoint beside what people would use instead: `python -m bench serving`.

Contenders answer the same lists on loopback: FastAPI and uvicorn with a pydantic response, FastAPI with bytes made
beforehand, FastAPI calling our kernel for each user, and LitServe's plain `predict`. Generated models in two shapes;
the large one has the catalogue of MovieLens-25M (59,047 x 128) and 20,000 of its users. The client is bundled, runs
in this process and shares the cores: CPU a request is what to compare, requests a second are a lower bound.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.endpoint import SHAPES, Shape, build, get, post, reload, run_load, running, tree
from bench.goals import goal

ROUNDS, SECONDS = 3, 1.0


def workloads(shape: Shape) -> dict[tuple[str, str], tuple[list[bytes], int]]:
    """(contender, workload) -> its requests, and users in each."""
    rng = np.random.default_rng(1)
    users = [f"{1_000_000 + row}" for row in rng.integers(0, min(shape.users, 900), 500)]
    movies = [[f"{1_000_000 + row}" for row in rng.choice(shape.items, 20, replace=False)] for _ in users]
    plain = [get(f"/recommend/{user}") for user in users]
    folds = [post({"ratings": [{"movie_id": movie, "rating": 4.0} for movie in rated]}) for rated in movies]
    filtered = [
        get(f"/recommend/{user}?genre=Genre%203&exclude={rated[0]}")
        for user, rated in zip(users, movies, strict=True)
    ]
    hundred = [post({"users": users[start : start + 100]}) for start in range(0, 400, 20)]
    kernel = [
        post({"users": users[start : start + 100], "genre": ["Genre 3"]}) for start in range(0, 400, 20)
    ]
    return {
        ("ours", "GET plain"): (plain, 1),
        ("fastapi pydantic", "GET plain"): (plain, 1),
        ("fastapi bytes", "GET plain"): (plain, 1),
        ("fastapi kernel", "GET plain"): (plain, 1),
        ("ours", "GET genre"): (filtered, 1),
        ("ours", "POST one"): ([post({"user_id": user}) for user in users], 1),
        ("litserve predict", "POST one"): ([post({"user_id": user}) for user in users], 1),
        ("ours", "POST 100"): (hundred, 100),
        ("ours", "POST 100 genre"): (kernel, 100),
        ("ours", "fold-in"): (folds, 1),
        ("fastapi kernel", "fold-in"): (folds, 1),
    }


def measure(home: Path, name: str, shape: Shape) -> bool:
    """All contenders interleaved, several rounds; the table, and whether every goal is met."""
    figures: dict[tuple[str, str, int], list[tuple[float, ...]]] = {}
    loads = workloads(shape)
    contenders = list(dict.fromkeys(contender for contender, _ in loads))
    wrong, overload = 0, 0
    for _ in range(ROUNDS):
        for contender in contenders:  # one at a time, so that none is disturbed by another's idling
            with running(contender, home) as (port, pid):
                if contender == "ours":
                    reload(port, 1)
                for (who, workload), (requests, users) in loads.items():
                    if who != contender:
                        continue
                    run_load(port, requests, 8, 0.3)
                    for connections in (1, 64):
                        before = sum(cpu for cpu, _ in tree(pid).values())
                        load = run_load(port, requests, connections, SECONDS)
                        now = tree(pid)
                        cpu = sum(cpu for cpu, _ in now.values()) - before
                        answered = len(load.latencies)
                        overload += load.statuses.get(503, 0) + load.statuses.get(504, 0)
                        wrong += sum(
                            n for status, n in load.statuses.items() if status not in (200, 503, 504)
                        )
                        p50, p99 = np.percentile(load.latencies, [50, 99]) * 1e3
                        row = (answered * users / load.seconds, p50, p99, cpu / answered / users * 1e6)
                        memory = sum(mb for _, mb in now.values())
                        figures.setdefault((who, workload, connections), []).append((*row, memory))
    print(
        f"\n{name}: {shape.users} users, {shape.items} movies, {shape.factors} factors; medians of {ROUNDS} rounds"
    )
    print("| contender | workload | connections | users/s | p50 ms | p99 ms | CPU µs a user | private MB |")
    print("|---|---|---|---|---|---|---|---|")
    median = {key: np.median(rows, axis=0) for key, rows in figures.items()}
    for (who, workload, connections), (rate, p50, p99, cpu, memory) in median.items():
        print(
            f"| {who} | {workload} | {connections} | {rate:.0f} | {p50:.2f} | {p99:.2f} | {cpu:.0f} | {memory:.0f} |"
        )
    print(f"{overload} answers were 503 or 504: too many requests waited, or one for too long")
    ours, pydantic = median["ours", "GET plain", 64], median["fastapi pydantic", "GET plain", 64]
    kernel, folds = median["fastapi kernel", "GET plain", 64], median["fastapi kernel", "fold-in", 64]
    met = [
        goal(f"{name}_get_cpu_over_pydantic", ours[3] / pydantic[3], 1.0),
        goal(f"{name}_get_cpu_over_bytes", ours[3] / median["fastapi bytes", "GET plain", 64][3], 1.3),
        goal(
            f"{name}_get_p50_over_pydantic",
            median["ours", "GET plain", 1][1] / median["fastapi pydantic", "GET plain", 1][1],
            1.1,
        ),
        goal(
            f"{name}_post100_users_over_kernel",
            median["ours", "POST 100", 64][0] / kernel[0],
            3,
            at_most=False,
        ),
        goal(
            f"{name}_post100_genre_users_over_kernel",
            median["ours", "POST 100 genre", 64][0] / kernel[0],
            3,
            at_most=False,
        ),
        goal(
            f"{name}_fold_in_users_over_kernel", median["ours", "fold-in", 64][0] / folds[0], 3, at_most=False
        ),
        goal(f"{name}_wrong_answers", wrong, 0, digits=0),
    ]
    return all(met)


def main() -> bool:
    """Both shapes, or those that MOVIEREC_BENCH_SHAPES names; whether every goal is met."""
    chosen = os.environ.get("MOVIEREC_BENCH_SHAPES", ",".join(SHAPES)).split(",")
    met = []
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="movierec-bench-") as folder:
            started = time.perf_counter()
            build(Path(folder), SHAPES[name], 1)
            print(f"{name}: built and published in {time.perf_counter() - started:.1f} s", flush=True)
            met.append(measure(Path(folder), name, SHAPES[name]))
    return all(met)
