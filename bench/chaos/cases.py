"""Kills of one process at a time: in a forked child, on a clone of a home, then mended in another
child.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.chaos import jobs
from bench.chaos.points import POINTS, Point, arm

SIGNALS = (signal.SIGKILL, signal.SIGTERM)
STAGES = ("ingest", "train", "register", "judge", "deploy")
WRITES = (
    "chunks",
    "bundles",
    "twins",
    "mlflow",
    "models",
    "dagster",
    ".",
)  # folders of the warehouse
DEADLINE_S = 120.0
LANES = 2


@dataclass(frozen=True)
class Case:
    """One kill, or one full disk."""

    number: int
    place: str
    job: str
    signal: int
    point: Point | None = None
    nth: int = 1
    share: float = (
        0.0  # of the run's time at which it is killed; of the room it needs that there is
    )
    full: str | None = None  # the folder of the warehouse whose disk is full


@dataclass(frozen=True)
class Outcome:
    """Of a case: whether it was hit, what was violated, the seconds of all."""

    case: Case
    hit: bool
    violations: list[str]
    seconds: float


def cases(seed: int, times: int) -> list[Case]:
    """Every named point, random moments and full disks, `times` each, with each signal."""
    chance = random.Random(seed)
    drawn: list[Case] = []

    def add(place: str, job: str, number: int, **given: object) -> None:
        drawn.append(Case(len(drawn), place, job, number, **given))  # type: ignore[arg-type]

    for _ in range(times):
        for number in SIGNALS:
            for point in POINTS:
                add(point.place, point.job, number, point=point, nth=chance.randint(1, point.times))
            for job in ("daily", "deploy"):
                add(f"random moment of a run: {job}", job, number, share=chance.random())
        for folder in WRITES:
            jobs_there = {
                "chunks": "ingest",
                "mlflow": "register",
                "models": "deploy",
                ".": "daily",
            }
            job = jobs_there.get(
                folder, "train" if folder != "dagster" else chance.choice(STAGES[:4])
            )
            add(
                f"full disk: {folder if folder != '.' else 'the warehouse'}",
                job,
                0,
                full=folder,
                share=chance.random(),
            )
    chance.shuffle(drawn)
    return drawn


class Homes:
    """A home before each stage, and the state and seconds of what an undisturbed run makes of
    it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.before: dict[str, Path] = {}
        self.state: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self.growth: dict[str, dict[str, int]] = {}

    def prepare(self) -> None:
        """One home after the other, each from the one before, in this process: what is loaded now
        need not be again.
        """
        home = self.root / "ingest"
        (home / "warehouse" / "dagster").mkdir(parents=True)
        shutil.copy(jobs.ROOT / "dagster.yaml", home)
        self._here(home, jobs.prepare)
        self.before |= {"ingest": home, "catalogue": home, "daily": home}
        for job, after in zip(STAGES, [*STAGES[1:], "mend"], strict=True):
            self.before[after] = jobs.clone(self.before[job], self.root / after)
            self._here(self.before[after], lambda _, job=job: jobs.run(job))  # type: ignore[misc]
        self.before["tick"] = self.before["deploy"]
        self._here(self.before["mend"], jobs.corrupt)
        for job in [*STAGES, "mend", "tick", "catalogue", "daily"]:
            _, problems, _ = _lane(self, Case(-1, "undisturbed", job, 0))
            if problems:
                raise RuntimeError(f"an undisturbed {job}: {problems}")

    def _here(self, home: Path, work: Callable[[Path], None]) -> None:
        jobs.at(home)
        work(home)


def outcomes(homes: Homes, wanted: list[Case]) -> Iterator[Outcome]:
    """Of each case, two at a time."""
    global _lane_of
    _lane_of = lambda nth: (nth, *_lane(homes, wanted[nth]))  # noqa: E731 - known to the lanes, for they are forks
    with multiprocessing.get_context("fork").Pool(LANES) as lanes:
        for nth, *outcome in lanes.imap_unordered(_nth, range(len(wanted))):
            yield Outcome(wanted[nth], *outcome)
        lanes.close()  # a lane has handlers of the libraries it ran: it need not end on SIGTERM
        lanes.join()


_lane_of: Callable[[int], Any]


def _nth(nth: int) -> Any:
    return _lane_of(nth)


def _lane(homes: Homes, case: Case) -> tuple[bool, list[str], float]:
    """Whether the case hit, what is violated after it, and the seconds of all."""
    began = time.perf_counter()
    home = homes.root / f"case {case.number}"
    job, result, hit = (
        case.job,
        homes.root / f"{case.number}.json",
        homes.root / f"{case.number}.hit",
    )
    shutil.rmtree(home, ignore_errors=True)
    jobs.clone(homes.before[job], home)
    with _disk(homes, case, home) as free:
        first = time.perf_counter()
        armed = partial(arm, case.point, case.nth, case.signal, hit) if case.point else lambda: None

        def work() -> None:
            armed()
            jobs.run(job)

        pid = jobs.forked(home, work)
        code = None
        if case.signal and not case.point:
            code = _ended(pid, homes.seconds[job] * case.share)
            if code is None:  # else it was faster than it had been
                hit.touch()
                os.kill(pid, case.signal)
        if code is None:
            code = _ended(pid, DEADLINE_S)
        if case.number < 0:
            homes.seconds[job] = time.perf_counter() - first
            homes.growth[job] = {
                folder: size_of(home / "warehouse" / folder)
                - size_of(homes.before[job] / "warehouse" / folder)
                for folder in WRITES
            }
        if case.full and code != 0:
            hit.touch()
        free()
        if code is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            problems = ["it hung"]
        else:
            problems = _recovered(homes, case, home, result)
    if not problems or case.number < 0:
        shutil.rmtree(home)
        home.with_name(f"{home.name}.log").unlink()
    return hit.exists(), problems, time.perf_counter() - began


def _disk(homes: Homes, case: Case, home: Path) -> AbstractContextManager[Callable[[], None]]:
    if case.full is None:
        return _as_it_is()
    room = homes.growth[case.job][case.full] * case.share * 0.8
    return _full((home / "warehouse" / case.full).resolve(), int(room))


def _recovered(homes: Homes, case: Case, home: Path, result: Path) -> list[str]:
    result.unlink(missing_ok=True)
    pid = jobs.forked(home, partial(jobs.recover, home, case.job, result))
    code = _ended(pid, DEADLINE_S)
    if code is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if code != 0:
        log = home.with_name(f"{home.name}.log").read_text(errors="replace")
        return [f"what came after it failed ({code}): {log[-700:]}"]
    outcome = json.loads(result.read_text())
    if case.number < 0:
        homes.state[case.job] = outcome["state"]
    if outcome["state"] != homes.state[case.job]:
        outcome["violations"].append(
            "models, rows or production differ from those of a run left alone"
        )
    return list(outcome["violations"])


def _ended(pid: int, seconds: float) -> int | None:
    """The exit code of a child that ends within so many seconds, else None."""
    handle = os.pidfd_open(pid)
    try:
        if not select.select([handle], [], [], seconds)[0]:
            return None
    finally:
        os.close(handle)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@contextmanager
def _as_it_is() -> Iterator[Callable[[], None]]:
    yield lambda: None


@contextmanager
def _full(folder: Path, room: int) -> Iterator[Callable[[], None]]:
    """The folder on a small tmpfs with `room` bytes left; what is given makes it a large one."""
    aside = folder.with_name(f"{folder.name}.aside")
    folder.rename(aside)
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size_of(aside) + room}", "tmpfs", folder)
    try:
        subprocess.run(["cp", "-a", f"{aside}/.", folder], check=True)
        yield lambda: _mount("-o", "remount,size=1g", folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        shutil.rmtree(aside)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


def size_of(folder: Path) -> int:
    """Bytes that a folder takes on a tmpfs, hard links once."""
    inodes = {
        (stat := path.lstat()).st_ino: stat.st_blocks * 512 for path in [folder, *folder.rglob("*")]
    }
    return sum(inodes.values())
