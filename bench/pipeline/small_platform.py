"""A real platform of small models for benches: the daemon, endpoints, and promotions by pinning."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg

from bench.chaos.jobs import environment
from bench.pipeline.platform import copy_home_files
from demo.processes import free_port, stop, wait_until
from demo.stream import served_at
from movierec_assets.cli.processes import commands
from movierec_assets.cli.setup import set_up
from movierec_assets.definitions import assemble
from movierec_assets.defs.shared.tags import ATTEMPT
from movierec_assets.partitions import RANGE_END, RANGE_START
from movierec_assets.platform import wired
from movierec_assets.settings import settings
from tests.support.generate import as_csv, catalogue, days_from, ratings_of_day

DAYS = days_from("1998-03-02", 12)  # as many versions
DEADLINE_S = 420.0


class Platform:
    """What `movierec up` runs, process by process, so that each can be stopped by itself."""

    def __init__(self, home: Path, instance: dg.DagsterInstance, ports: list[int]) -> None:
        self.home, self.instance = home, instance
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.names = {chr(ord("A") + place): port for place, port in enumerate(ports)}
        self.calls = {
            name: commands(0, port, 0, "")["endpoint"] for name, port in self.names.items()
        }
        self.calls["daemon"] = commands(0, 0, 0, "")["daemon"]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.wanted = 0

    def start(self, name: str, **extra: str) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self.calls[name],
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
                env={**os.environ, **extra},
            )

    def stop(self, *names: str) -> None:
        for name in names:
            stop(self.processes.pop(name))

    def run(
        self,
        job: str,
        *,
        days: tuple[str, str] | None = None,
        assets: tuple[str, ...] = (),
        **config: Any,
    ) -> None:
        tags = {RANGE_START: days[0], RANGE_END: days[1]} if days else {}
        assemble(wired()).resolve_job_def(job).execute_in_process(
            instance=self.instance,
            tags=tags,
            asset_selection=[dg.AssetKey(asset) for asset in assets] or None,
            run_config={"ops": {"change_production": {"config": config}}} if config else None,
        )

    def promote(self, version: int) -> None:
        """Make a version production, as `set_production` does."""
        self.run("set_production", action="pin", version=version, reason="the bench's turn")
        self.wanted = version

    def converged(self, *urls: str) -> float:
        """Seconds until these endpoints, or all, serve what is wanted."""
        began = time.perf_counter()
        for url in urls or self.urls:
            wait_until(
                lambda url=url: served_at(url) == self.wanted,
                f"{url} serves {self.wanted}",
                DEADLINE_S,
            )
        return time.perf_counter() - began

    def deployments(self) -> list[dg.RunRecord]:
        """The runs that were asked for, oldest first."""
        return self.instance.get_run_records(dg.RunsFilter(job_name="deploy"), ascending=True)

    def failed(self, attempts: int, text: str = "") -> list[float]:
        """The pauses between so many failed attempts at what is wanted, once there are; the last
        says `text`.
        """

        def enough() -> list[dg.RunRecord]:
            records = [
                record
                for record in self.deployments()
                if record.dagster_run.is_failure
                and record.dagster_run.tags.get("movierec/version") == str(self.wanted)
            ]
            return records if len(records) >= attempts else []

        records = wait_until(
            enough, f"{attempts} failed attempts at version {self.wanted}", DEADLINE_S
        )
        (event, *_) = self.instance.all_logs(
            records[-1].dagster_run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE
        )
        said = str(event.get_dagster_event().step_failure_data.user_failure_data)
        if text not in said:
            raise RuntimeError(f"expected {text!r} in {said}")
        if [record.dagster_run.tags[ATTEMPT] for record in records] != [
            str(n + 1) for n in range(len(records))
        ]:
            raise RuntimeError("attempts are not counted")
        times = [record.create_timestamp.timestamp() for record in records]
        return [later - earlier for earlier, later in pairwise(times)]

    def children(self, name: str) -> list[int]:
        """Process ids below a process, its own excluded."""
        listed = subprocess.run(
            ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
        ).stdout
        parents = {
            int(pid): int(parent) for pid, parent in (line.split() for line in listed.splitlines())
        }
        pids, new = [], [self.processes[name].pid]
        while new:
            new = [pid for pid, parent in parents.items() if parent in new]
            pids += new
        return pids


@contextmanager
def platform(
    home: Path,
    endpoints: int = 2,
    own: Callable[[str], dict[str, str]] = lambda name: {},
    **environ: str,
) -> Iterator[Platform]:
    """Set up in `home` with a version for each of DAYS, the first of which all endpoints serve.

    Args:
        own: environment of one endpoint alone, by its name: A, B, C, …
        environ: environment of all.
    """
    ports = [free_port() for _ in range(endpoints)]
    before, folder = dict(os.environ), Path.cwd()
    home.mkdir(exist_ok=True)
    copy_home_files(home)
    try:
        for name in [
            variable
            for variable in os.environ
            if variable.startswith(("MOVIEREC_", "DAGSTER_", "MLFLOW_"))
        ]:
            del os.environ[name]
        urls = ",".join(f"http://127.0.0.1:{port}" for port in ports)
        os.environ |= environment(home) | {"MOVIEREC_ENDPOINTS": urls, "PYTHONWARNINGS": "ignore"}
        os.environ |= environ
        os.chdir(home)
        settings.cache_clear()
        set_up(home)
        landing = wired().landing_zone
        landing.deliver_movies(catalogue())
        for day in DAYS:
            landing.deliver(day, as_csv(ratings_of_day(day)))
        with dg.DagsterInstance.get() as instance:
            running = Platform(home, instance, ports)
            running.run("catalogue")
            running.run("daily", days=(DAYS[0], DAYS[-1]))
            running.promote(1)
            try:
                for name in running.calls:
                    running.start(name, **(own(name) if name in running.names else {}))
                running.converged()
                yield running
            finally:
                running.stop(*running.processes)
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(before)
        settings.cache_clear()


def end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal a process and wait for its end; what it leaves of its group is left."""
    process.send_signal(number)
    process.wait(60)
