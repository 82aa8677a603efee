"""Everybody's lists for a publication, here and on a Spark cluster: `python -m bench spark_lists`.

CPU and memory by process, and whether both publications are the same, byte by byte. BENCH_FULL=1
adds MovieLens 25M's shape.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Event, Thread

from bench.goals import goal
from bench.pipeline.spark import FULL, watched
from bench.pipeline.spark_cluster import Cluster, Usage, missing
from bench.serving.published import SHAPES, Shape, trained_bundle
from movierec_assets.resources.spark_driver import SparkDriver
from movierec_assets.resources.spark_lists import SparkLists
from movierec_serving.bundle import publish
from movierec_serving.bundle.array_files import sha256_of
from movierec_serving.bundle.everybody import in_this_process

HERE = "bench.pipeline.spark_lists"


def main() -> bool:
    """Print a table for each shape; whether all publications are the same."""
    if lack := missing():
        print(lack)
        return True
    shapes = [Shape(50_000, 20_000, 64, 5_000_000), *([SHAPES["ml-25m"]] if FULL else [])]
    met = []
    with (
        tempfile.TemporaryDirectory(prefix="movierec-spark-") as name,
        Cluster(folder := Path(name)) as cluster,
    ):
        for number, shape in enumerate(shapes):
            print(f"\n### {shape.users:,} users, {shape.items:,} movies, {shape.factors} factors")
            print("\n| | process | CPU s | MB, of it not files | wall s |\n|---|---|---|---|---|")
            bundle = folder / f"bundle{number}"
            _in_a_process("bundle", bundle, *vars(shape).values())
            here, there = folder / f"here{number}", folder / f"there{number}"
            _in_a_process("publish", bundle, here)
            _in_a_process("publish", bundle, there, cluster.master, *cluster.sessions)
            same = _digests(here / "1") == _digests(there / "1")
            what = f"spark, lists byte by byte, {shape.users:,} users"
            met.append(goal(what, float(same), 1, at_most=False, digits=0))
    return all(met)


def _in_a_process(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", HERE, *map(str, arguments)], check=True)


def _digests(version: Path) -> dict[str, str]:
    return {file.name: sha256_of(file) for file in version.iterdir()}


def _publish(bundle: Path, store: Path, master: str = "", *sessions: str) -> None:
    """Publish in this process, and print what it used; with a master, on the cluster."""
    usage, peak, done = Usage(), [0.0], Event()

    def look() -> None:
        while not done.wait(0.05):
            status = Path("/proc/self/status").read_text()
            peak[0] = max(
                peak[0], *(int(kb) / 1024 for kb in re.findall(r"RssAnon:\s+(\d+)", status))
            )

    launch = partial(_launch, frozenset(map(int, sessions)), store.parent, usage)
    lists_of = (
        SparkLists(SparkDriver(master, store.parent / "lists", launch))
        if master
        else in_this_process
    )
    thread = Thread(target=look)
    thread.start()
    began, before = time.perf_counter(), time.process_time()
    publish(bundle, store, 1, {}, lists_of=lists_of)
    wall, used = time.perf_counter() - began, time.process_time() - before
    done.set()
    thread.join()
    hwm = re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    memory = f"{int(hwm[0]) / 1024:.0f}, {peak[0]:.0f}"
    where = "on Spark" if master else "here"
    print(f"| {where} | the run | {used:.1f} | {memory} | {wall:.1f} |")
    for role, (cpu, most) in usage.by_role.items():
        print(f"| {where} | {role} | {cpu:.1f} | {most:.0f} | |")
    sys.stdout.flush()


def _launch(sessions: frozenset[int], folder: Path, usage: Usage, command: Sequence[str]) -> None:
    watched(set(sessions), command, folder, usage, {})


if __name__ == "__main__":
    todo, *rest = sys.argv[1:]
    if todo == "bundle":
        trained_bundle(Shape(*map(int, rest[1:])), Path(rest[0]))
    else:
        _publish(Path(rest[0]), Path(rest[1]), *rest[2:])
