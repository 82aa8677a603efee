"""Webserver, daemon and run workers in a folder of their own, asked as Dagster's UI asks; what
their runs cost.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from demo.dagster_api import DagsterApi
from demo.processes import free_port, running, wait_until
from movierec_assets.cli.processes import commands
from movierec_assets.cli.setup import FILES

ROOT = Path(__file__).parents[2]
ASSETS = ("raw_ratings", "validated_ratings", "als_model", "registered_model", "gate_verdict")
UNFINISHED = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")


def copy_home_files(folder: Path) -> None:
    """What makes a folder a home, before it is set up."""
    for name in FILES:
        shutil.copy(ROOT / name, folder)


def in_its_own(folder: Path, module: str, *arguments: str, **settings: str) -> str:
    """The last line that a module of ours prints as a process whose home is `folder`.

    Raises:
        RuntimeError: it failed; the end of its log.
    """
    copy_home_files(folder)
    (folder / "warehouse" / "dagster").mkdir(parents=True, exist_ok=True)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("MOVIEREC_")},
        "DAGSTER_HOME": str(folder),
        "MOVIEREC_HOME": str(folder),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "MOVIEREC_DAGSTER_DIR": str(folder / "warehouse" / "dagster"),
        "MOVIEREC_ENDPOINTS": "",
        **settings,
    }
    with (folder / "log").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"{module} {arguments} failed:\n{(folder / 'log').read_text()[-3000:]}")
    return done.stdout.splitlines()[-1]


@dataclass(frozen=True)
class Cost:
    """Of runs: from asking to the first run's start, from there to the end (s); CPU s; MB at most;
    s by step.
    """

    waited: float
    wall: float
    cpu: float
    memory: float
    assets: dict[str, float]


class Platform:
    """What a person does in Dagster's UI; the current folder is its home."""

    def __init__(self, api: DagsterApi, instance: dg.DagsterInstance) -> None:
        self.api, self.instance = api, instance

    def backfill(self, first: str, last: str, assets: Sequence[str] = ASSETS) -> Cost:
        """Daily assets over a range of days, by a backfill."""
        asked = time.time()
        self.api.launch_backfill(f"{first} to {last}", dict.fromkeys(assets, (first, last)))
        return self._follow(asked, 1)

    def runs(self, days: Sequence[str], tags: tuple[str, str]) -> Cost:
        """A run of the daily job for each of the days."""
        asked = time.time()
        for day in days:
            self.api.launch_job("daily", dict.fromkeys(tags, day))
        return self._follow(asked, len(days))

    def _follow(self, asked: float, count: int) -> Cost:
        """Wait for so many runs that were asked for, watching their processes."""
        usage: dict[str, tuple[float, float]] = {}
        workers: dict[str, int | None] = {}
        while True:
            recent = self.instance.get_run_records(limit=count)
            runs = [record for record in recent if record.create_timestamp.timestamp() >= asked]
            alive = False
            for run in (record.dagster_run.run_id for record in runs):
                workers[run] = workers.get(run) or self._worker(run)
                if (worker := workers[run]) is not None and (used := _used(worker)) is not None:
                    usage[run], alive = used, True
            if (
                len(runs) == count
                and all(record.dagster_run.is_finished for record in runs)
                and not alive
            ):
                break
            time.sleep(0.1)
        failed = [record.dagster_run.run_id for record in runs if not record.dagster_run.is_success]
        if failed:
            raise RuntimeError(f"runs failed: {', '.join(failed)}")
        began = min(map(self._launched, runs))
        seconds: dict[str, float] = {}
        for record in runs:
            for step in self.instance.get_run_step_stats(record.dagster_run.run_id):
                spent = (step.end_time or 0) - (step.start_time or 0)
                seconds[step.step_key] = seconds.get(step.step_key, 0.0) + spent
        return Cost(
            began - asked,
            max(record.end_time or 0 for record in runs) - began,
            sum(cpu for cpu, _ in usage.values()),
            max(memory for _, memory in usage.values()),
            seconds,
        )

    def _worker(self, run: str) -> int | None:
        """The process that executes a run, once it has said so."""
        events = self.instance.all_logs(run, of_type=dg.DagsterEventType.ENGINE_EVENT)
        matches = [
            re.search(r"Started process for run \(pid: ([0-9]+)\)", event.message)
            for event in events
        ]
        return next((int(match[1]) for match in matches if match), None)

    def _launched(self, record: dg.RunRecord) -> float:
        """When the run's process was asked for."""
        events = self.instance.all_logs(
            record.dagster_run.run_id, of_type=dg.DagsterEventType.PIPELINE_STARTING
        )
        return min(event.timestamp for event in events)


@contextmanager
def started(workspace: str = "workspace.yaml") -> Iterator[Platform]:
    """Set up the current folder and run Dagster's webserver and daemon on it for the time of the
    block.
    """
    from movierec_assets.platform import wired
    from movierec_assets.settings import settings

    home, adapters = Path.cwd(), wired()
    adapters.model_registry.initialise()
    with adapters.warehouse.connect(), dg.DagsterInstance.get() as instance:
        instance.get_runs(limit=1)
    port = free_port()
    calls = commands(port, 0, 0, settings().tracking_uri)
    calls = {
        name: [workspace if part == "workspace.yaml" else part for part in call]
        for name, call in calls.items()
    }
    with (
        running("webserver", calls["webserver"], home / "webserver.log", {}, home) as webserver,
        running("daemon", calls["daemon"], home / "daemon.log", {}, home),
        dg.DagsterInstance.get() as instance,
    ):
        api = DagsterApi(f"http://127.0.0.1:{port}")
        wait_until(api.location, "Dagster's code location is not loaded", 300, webserver)
        yield Platform(api, instance)


def _used(pid: int) -> tuple[float, float] | None:
    """CPU seconds of a process and of its children that have ended, and its largest resident set
    (MB).
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), None)
    if peak is None:  # it has ended, and nobody has asked how yet
        return None
    return sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK"), int(peak) / 1024
