"""Kills of the platform's own processes, at random moments after a promotion."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import dagster as dg

from bench.chaos.cases import SIGNALS
from bench.chaos.invariants import violations
from bench.pipeline.small_platform import DAYS, Platform, platform
from demo.processes import wait_until
from movierec_assets.cli.up import end_abandoned_runs
from movierec_assets.defs.deployment import UNFINISHED
from movierec_assets.errors import MovierecError
from movierec_assets.platform import wired

LONGEST_S = 12.0  # a deployment is through by then
Table = dict[str, dict[str, float]]


def kills(seed: int, times: int) -> Table:
    """A row for each kind of process: `times` kills with each signal, what came after, and what was
    violated.
    """
    chance = random.Random(seed)
    table: Table = defaultdict(lambda: defaultdict(float))
    with (
        tempfile.TemporaryDirectory(prefix="movierec-chaos-") as folder,
        platform(Path(folder) / "home") as site,
    ):
        kinds = (
            "endpoint: main process",
            "endpoint: one of its children",
            "code server",
            "daemon",
            "run worker",
        )
        plan = [(kind, number) for kind in kinds for number in SIGNALS for _ in range(times)]
        chance.shuffle(plan)
        for nth, (kind, number) in enumerate(plan):
            row = table[f"random moment: {kind}"]
            row["cases"] += 1
            began = time.perf_counter()
            site.promote(2 + nth % (len(DAYS) - 1))
            broken = []
            try:
                row["hits"] += 1
                row["relaunched"] += _kill(site, kind, number, chance)
                site.converged()
                _at_rest(site)
                broken = violations(wired(), site.instance)
            except (RuntimeError, MovierecError) as error:
                broken = [str(error)]
            row["violations"] += len(broken)
            row["seconds"] += time.perf_counter() - began
            print(
                f"{kind}, {number.name}: {time.perf_counter() - began:.0f} s {'; '.join(broken)}",
                flush=True,
            )
    return table


def _kill(site: Platform, kind: str, number: signal.Signals, chance: random.Random) -> bool:
    """Kill one process at a random moment; whether it had to be started again (`movierec up` ends
    with any of them).
    """
    if kind == "run worker":
        workers = wait_until(lambda: _workers(site), "a run worker", 120)
        time.sleep(chance.uniform(0, LONGEST_S / 2))
        _signal(chance.choice(workers), number)
        return False
    time.sleep(chance.uniform(0, LONGEST_S))
    name = chance.choice("AB") if kind.startswith("endpoint") else "daemon"
    if kind in ("endpoint: main process", "daemon"):
        site.processes[name].send_signal(number)
        site.processes[name].wait(60)
        site.stop(name)
        if name == "daemon":
            end_abandoned_runs()  # as `movierec up` does before it starts one
        site.start(name)
        return True
    if kind == "code server":
        _signal(next(pid for pid in site.children("daemon") if b"grpc" in _line(pid)), number)
        return False
    _signal(chance.choice(site.children(name)), number)
    try:
        site.processes[name].wait(5)
    except subprocess.TimeoutExpired:  # the child is replaced
        return False
    site.stop(name)  # without its manager the endpoint ends, for its supervisor to start it again
    site.start(name)
    return True


def _workers(site: Platform) -> list[int]:
    servers = [pid for pid in site.children("daemon") if b"grpc" in _line(pid)]
    return [
        pid for pid in site.children("daemon") if b"spawn_main" in _line(pid) and pid not in servers
    ]


def _line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(pid, number)


def _at_rest(site: Platform) -> None:
    """Until no run is under way: a deployment writes its table after the endpoints have
    acknowledged.
    """
    wait_until(
        lambda: not site.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)),
        "no run is under way",
        300,
    )
