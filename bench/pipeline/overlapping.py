"""Backfills, the schedule's run, clicks and a DuckDB shell at once, as people ask for them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from bench.pipeline.platform import ASSETS, Platform
from demo.processes import wait_until
from movierec_assets.defs.deployment import UNFINISHED
from movierec_assets.partitions import RANGE_START
from movierec_assets.platform import wired
from tests.support.generate import days_from

DAYS = days_from("1998-03-27", 10)  # over the end of a month
EARLIER, LATER = (DAYS[0], DAYS[6]), (DAYS[3], DAYS[-1])
MIDDLE = DAYS[4]
DAILY = (*ASSETS, "prequential_evaluation")
DEADLINE_S = 240.0
NAMED = re.compile("(delivered days without a verdict|earlier days without a model): [^;]*")
EXPLAINED = re.compile(f"{NAMED.pattern}|not done by ")
# What a person does in a terminal: tries until nobody else has the file, looks around, forgets it
# for a while.
SHELL = """
import sys, time, duckdb
while True:
    try:
        shell = duckdb.connect(sys.argv[1])
        break
    except duckdb.IOException:
        time.sleep(0.005)
print(time.time(), flush=True)
shell.execute("SELECT count(*) FROM chunks").fetchall()
sys.stdin.read()
"""


class Overlap:
    """What is done at once; each run has a name."""

    def __init__(self, platform: Platform) -> None:
        self.platform, self.instance, self.began = platform, platform.instance, time.time()
        self.names: dict[str, str] = {}  # by the id of a backfill or of a run
        self.shells: list[str] = []

    def ask(self) -> None:
        """The schedule's run of the last day, and two backfills, the later days first: the worst
        order.
        """
        schedule = {"dagster/schedule_name": "every_day", "dagster/partition": DAYS[-1]}
        self.names[self.platform.api.launch_job("daily", schedule)] = f"schedule {DAYS[-1][5:]}"
        for days, priority in ((EARLIER, "0"), (LATER, "1")):
            name, tags = f"backfill {days[0][5:]} to {days[1][5:]}", {"dagster/priority": priority}
            self.names[
                self.platform.api.launch_backfill(name, dict.fromkeys(DAILY, days), tags)
            ] = name

    def click(self) -> None:
        """Clicks on assets of single days."""
        for day, assets in ((MIDDLE, ASSETS), (DAYS[-1], ASSETS[2:])):
            run = self.platform.api.launch_job("__ASSET_JOB", {"dagster/partition": day}, assets)
            self.names[run] = f"click {day[5:]}: {assets[0]} to {assets[-1]}"

    @contextmanager
    def shell(self, tag: str = "") -> Iterator[None]:
        """Hold the file for the time of the block as somebody at a terminal does, once a run is
        under way.
        """
        wait_until(
            lambda: self._runs(dg.DagsterRunStatus.STARTED, tag), "a run is under way", DEADLINE_S
        )
        call = [sys.executable, "-c", SHELL, wired().warehouse.path]
        with subprocess.Popen(
            call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as shell:
            assert shell.stdout is not None
            since = float(shell.stdout.readline()) - self.began
            under_way = [self._name(run) for run in self._runs(dg.DagsterRunStatus.STARTED)]
            yield
            until = time.time() - self.began
        self.shells.append(
            f"{since:.0f} to {until:.0f} s ({', '.join(under_way) or 'nothing'} under way)"
        )

    def backfills_queued(self) -> bool:
        return len(self._runs(dg.DagsterRunStatus.QUEUED, "dagster/backfill")) == 2

    def wait(self) -> None:
        """Until every backfill and run has ended."""
        backfills = [
            backfill for backfill in self.names if self.instance.get_run_by_id(backfill) is None
        ]

        def ended() -> bool:
            states = [self.platform.api.backfill(backfill)["status"] for backfill in backfills]
            return "REQUESTED" not in states and not self.instance.get_runs(
                dg.RunsFilter(statuses=UNFINISHED)
            )

        wait_until(ended, "every run has ended", DEADLINE_S)

    def failed(self) -> list[dg.DagsterRun]:
        """Runs that did not succeed, oldest first, deployments too."""
        records = self.instance.get_run_records(ascending=True)
        return [
            record.dagster_run
            for record in records
            if record.dagster_run.is_finished and not record.dagster_run.is_success
        ]

    def causes(self, run: dg.DagsterRun) -> list[str]:
        """What each failed step of a run said."""
        events = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        data = [event.get_dagster_event().step_failure_data for event in events]
        told = [
            (failure.user_failure_data and failure.user_failure_data.description) or failure.error
            for failure in data
        ]
        return [str(text) for text in told] or ["no step failed"]

    def unexplained(self, run: dg.DagsterRun) -> list[str]:
        """What a run failed with beside the names of days that come first."""
        return [
            f"{self._name(run)}: {cause}"
            for cause in self.causes(run)
            if not EXPLAINED.search(cause)
        ]

    def relaunch(self, failed: list[dg.DagsterRun]) -> None:
        """Each once, the earliest days first, as the messages ask for."""
        for run in sorted(
            failed, key=lambda run: run.tags.get(RANGE_START) or run.tags["dagster/partition"]
        ):
            self.names[self.platform.api.relaunch(run.run_id)] = f"{self._name(run)}, relaunched"
        self.wait()

    def rows(self) -> list[list[str]]:
        """Name, when it was asked for, began and ended (s), and outcome of each run."""
        rows = []
        for record in self.instance.get_run_records(ascending=True):
            run, outcome = record.dagster_run, record.dagster_run.status.value.lower()
            times = (
                record.create_timestamp.timestamp(),
                record.start_time or 0,
                record.end_time or 0,
            )
            if times[0] < self.began:
                continue
            if run.is_failure:
                named = filter(None, (NAMED.search(cause) for cause in self.causes(run)))
                outcome += f": {next((match[0] for match in named), 'see below')}"
            rows.append(
                [self._name(run), *(f"{moment - self.began:.0f}" for moment in times), outcome]
            )
        return rows

    def _runs(self, status: dg.DagsterRunStatus, tag: str = "") -> list[dg.DagsterRun]:
        runs = self.instance.get_runs(dg.RunsFilter(statuses=[status]))
        return [run for run in runs if not tag or tag in run.tags]

    def _name(self, run: dg.DagsterRun) -> str:
        return (
            self.names.get(run.run_id)
            or self.names.get(run.tags.get("dagster/backfill", ""))
            or run.job_name
        )
