"""ALS on a Spark cluster of a master and two workers here: `python -m bench spark`.

The same fits by implicit in one process, by Spark that schedules implicit's kernel, and by Spark's
own ALS: the bits, and CPU and memory by process. BENCH_FULL=1 adds Spark's own ALS on 5 million
ratings, and 25 million.
"""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from bench.goals import goal
from bench.pipeline.spark_cluster import Cluster, Usage, missing
from movierec_assets.resources.spark_driver import SparkDriver
from movierec_assets.training import spark_als
from movierec_assets.training.als import Problem, Sides, in_this_process

FACTORS, REGULARIZATION = 64, 15.0
OWN_REGULARIZATION = 0.1  # times each row's number of ratings


@dataclass(frozen=True)
class Size:
    """Ratings of so many users of so many movies, and the iterations of the fits."""

    ratings: int
    users: int
    movies: int
    iterations: int

    @property
    def name(self) -> str:
        return f"{self.ratings:,} ratings, {self.iterations} iterations"


SMALL, MIDDLE, LARGE = (
    Size(100_000, 943, 1_682, 15),
    Size(5_000_000, 50_000, 20_000, 15),
    Size(25_000_000, 162_000, 59_000, 15),
)
FULL = bool(os.environ.get("BENCH_FULL"))


def main() -> bool:
    """Print a table for each size; whether the goals are met."""
    if lack := missing():
        print(lack)
        return True
    sizes = (SMALL, MIDDLE, LARGE) if FULL else (SMALL, MIDDLE)
    with (
        tempfile.TemporaryDirectory(prefix="movierec-spark-") as name,
        Cluster(folder := Path(name)) as cluster,
    ):
        return all([_compare(cluster, size, folder) for size in sizes] + [_blocks(cluster, folder)])


def _compare(cluster: Cluster, size: Size, folder: Path) -> bool:
    matrix = ratings(size)
    print(f"\n### {size.name}\n\n| | process | CPU s | MB | wall s |\n|---|---|---|---|---|")
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    expected = in_this_process(_problem(matrix, size, size.iterations))
    after, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - began
    local = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"| implicit | this one | {local:.1f} | {after.ru_maxrss / 1024:.0f} | {wall:.1f} |")

    problem, met, spent = _problem(matrix, size, size.iterations), [], {}
    for fits in (1, 2):  # a day has two, of one start of Spark
        usage = Usage()
        solved = _on(cluster, [problem] * fits, folder, usage)
        spent[fits] = _table(f"implicit's kernel on Spark, fits: {fits}", usage)
        pairs = (pair for sides in solved for pair in zip(expected, sides, strict=True))
        same = float(all(np.array_equal(a, b) for a, b in pairs))
        met.append(goal(f"spark, bits, {size.name}, {fits} fits", same, 1, at_most=False, digits=0))
    if size is not SMALL:  # where Spark's start-up is most of it
        for fits, cpu in spent.items():
            what = f"spark, CPU over implicit's, {size.name}, {fits} fits"
            met.append(goal(what, cpu / local / fits, 3, digits=1))
    if size is SMALL or (FULL and size is MIDDLE):
        usage = Usage()
        _own_als(cluster, matrix, size.iterations, folder, usage)
        print("\n| | process | CPU s | MB | wall s |\n|---|---|---|---|---|")
        own = _table("Spark's own ALS", usage)
        print()
        what = f"spark, CPU over Spark's own ALS, {size.name}"
        met.append(goal(what, spent[1] / own, 0.2, digits=2))
    return all(met)


def _blocks(cluster: Cluster, folder: Path) -> bool:
    """The bits of fits in other numbers of blocks, on one core and on two."""
    matrix = ratings(SMALL)
    expected = in_this_process(_problem(matrix, SMALL, 2))
    different = []
    for blocks, cores in ((1, 1), (2, 2), (7, 1), (7, 2), (50, 2)):
        conf = {"spark.default.parallelism": blocks, "spark.cores.max": cores}
        (factors,) = _on(cluster, [_problem(matrix, SMALL, 2)], folder, Usage(), conf)
        same = all(np.array_equal(a, b) for a, b in zip(expected, factors, strict=True))
        print(f"{blocks} blocks on {cores} executors: {'identical' if same else 'DIFFERENT'}")
        different += [] if same else [blocks]
    return not different


def ratings(size: Size) -> sp.csr_matrix:
    """Popular movies more often, and a tenth of dislikes."""
    random = np.random.default_rng(0)
    users = random.integers(size.users, size=size.ratings)
    movies = (size.movies * random.random(size.ratings) ** 3).astype(np.int64)
    pairs = np.unique(users * size.movies + movies)
    values = random.choice(np.array([0.1, 0.7, 2.0, 5.0, -2.0], np.float32), len(pairs))
    places = pairs // size.movies, pairs % size.movies
    return sp.csr_matrix((values, places), shape=(size.users, size.movies))


def _problem(matrix: sp.csr_matrix, size: Size, iterations: int) -> Problem:
    return Problem(matrix, *start(size), REGULARIZATION, iterations)


def start(size: Size) -> Sides:
    """Small random factors; a fit changes them."""
    random = np.random.default_rng(0)
    shapes = ((size.users, FACTORS), (size.movies, FACTORS))
    users, movies = (random.random(shape, np.float32) for shape in shapes)
    return users * np.float32(0.01), movies * np.float32(0.01)


def _on(
    cluster: Cluster,
    problems: Sequence[Problem],
    folder: Path,
    usage: Usage,
    conf: dict[str, int] | None = None,
) -> list[Sides]:
    def launch(command: Sequence[str]) -> None:
        watched(cluster.sessions, command, folder, usage, conf or {})

    driver = SparkDriver(cluster.master, folder / "exchange", launch)
    return driver.alternate(problems)


def _own_als(
    cluster: Cluster, matrix: sp.csr_matrix, iterations: int, folder: Path, usage: Usage
) -> None:
    def launch(command: Sequence[str]) -> None:
        watched(cluster.sessions, command, folder, usage, {})

    driver = SparkDriver(cluster.master, folder / "exchange", launch)
    driver.factorize([spark_als.Problem(matrix, FACTORS, OWN_REGULARIZATION, iterations, 0)])


def watched(
    sessions: set[int], command: Sequence[str], folder: Path, usage: Usage, conf: dict[str, int]
) -> None:
    """Run a driver to its end, in a session of its own that is looked at with the cluster's."""
    given = {"spark.driver.memory": "2g", "spark.executor.memory": "2g", **conf}
    asked = [part for name, value in given.items() for part in ("--conf", f"{name}={value}")]
    environment = {
        **os.environ,
        "PYSPARK_SUBMIT_ARGS": " ".join([*asked, "pyspark-shell"]),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONWARNINGS": "ignore",  # Pipes warns that nobody listens
    }
    began = time.perf_counter()
    with (folder / "driver.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        with usage.of({process.pid, *sessions}):
            if process.wait():
                raise RuntimeError((folder / "driver.log").read_text()[-3000:])
    usage.wall = time.perf_counter() - began


def _table(name: str, usage: Usage) -> float:
    """Print a row for each role; CPU seconds of all."""
    roles = usage.by_role
    for role, (cpu, memory) in roles.items():
        print(f"| {name} | {role} | {cpu:.1f} | {memory:.0f} | |")
    total = sum(cpu for cpu, _ in roles.values())
    print(f"| {name} | together | {total:.1f} | | {usage.wall:.1f} |", flush=True)
    return total
