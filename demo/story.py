"""The demo's story: real ratings, real processes, from the first day to a reload under load."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from demo.anew import DemoError, staged, start_anew
from demo.dagster_api import DagsterApi, DagsterApiError
from demo.processes import free_port, running, wait_until
from demo.report import Phases, show_list, show_summary
from demo.stream import Stream, served_at
from movierec_assets.cli.fetch import fetch
from movierec_assets.cli.processes import commands
from movierec_assets.cli.setup import set_up
from movierec_assets.cli.up import exclusively
from movierec_assets.errors import InUseError, WarehouseHeldError
from movierec_assets.partitions import RANGE_END, RANGE_START
from movierec_assets.platform import Platform
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings

FIRST, LAST = date(1997, 9, 20), date(1998, 4, 22)
BEFORE = LAST - timedelta(days=1)  # the last day but one: until here history is backfilled
TRAINED_DAYS = 14
TRAINED = BEFORE - timedelta(days=TRAINED_DAYS - 1)
INGESTION = ("raw_ratings", "validated_ratings")
TRAINING = ("als_model", "registered_model", "gate_verdict")
USERS = ("1", "405", "somebody-new")
ASSETS = "__ASSET_JOB"  # Dagster's name for a run of assets that no job names
AHEAD = {"dagster/priority": "1"}  # the run queue takes a larger number first


def demo(root: Path) -> None:
    """Run the demo in the checkout `root`; all that it starts is stopped, whatever happens.

    Raises:
        DemoError: a step failed, or the warehouse holds data that is not the demo's.
    """
    console = Console(highlight=False)
    try:
        with exclusively(root / "warehouse"):
            start_anew(root)
            settings = set_up(root)
            phases = Phases(console, settings.warehouse / "logs")
            with ExitStack() as stack:
                Demo(root, settings, phases, stack).play()
            phases.report()
            console.print(
                "next: `make up` serves this at once and shows its runs in Dagster's UI, "
                f"http://127.0.0.1:{settings.webserver_port}. Then rate movies yourself, as user "
                f"405 or as somebody new, at http://127.0.0.1:{settings.serving_port}/app"
            )
    except InUseError as error:
        raise DemoError(str(error)) from error


class Demo:
    """The processes and adapters of one demo, on free ports."""

    def __init__(self, root: Path, settings: Settings, phases: Phases, stack: ExitStack) -> None:
        self.root, self.phases, self.console = root, phases, phases.console
        self.platform = Platform.of(settings)
        self.staged = staged(settings.warehouse)
        serving, ui = free_port(), free_port()
        self.endpoint, self.api = (
            f"http://127.0.0.1:{serving}",
            DagsterApi(f"http://127.0.0.1:{ui}"),
        )
        self._calls = commands(ui, serving, 0, settings.tracking_uri)
        self._stack = stack
        stack.callback(_forget_endpoint, settings.warehouse / "models", serving)

    def play(self) -> None:
        with self.phases("deliver", "ratings of all days but the last"):
            self._deliver()
        with self.phases("start", "endpoint, Dagster's webserver and daemon"):
            self._start("endpoint")
            webserver = self._start("webserver")
            what = "Dagster's code location is not loaded"
            wait_until(self.api.location, what, 120, webserver)
            # Before the daemon runs: its first look at backfills is at its start, the next one
            # 30 s later.
            ingestion, backfill = self._ask_for_history()
            self._daemon = self._start("daemon")
        self.console.print(f"Dagster's UI while this runs: {self.api.url}")
        self.console.print(f"the page for people while this runs: {self.endpoint}/app")
        days = (BEFORE - FIRST).days + 1
        with self.phases("history", f"{days} days validated, the last {TRAINED_DAYS} trained"):
            self._follow(ingestion, backfill, days)
        with self.phases("deploy", "the sensor makes the endpoint load production"):
            first = self._production()
            self._until_served(first)
        for user in USERS:
            show_list(self.console, self.endpoint, user)
        with self.phases("one more day", f"{LAST} under a steady stream of requests"):
            stream, newest = self._one_more_day(first)
        with self.phases("end", "what Dagster still runs comes to its end"):
            self._until_idle(backfill)
        self.console.print(
            f"\nversion {first} → {newest} under load: {stream.sent} requests, none failed, "
            f"versions seen {sorted(stream.versions)}, p99 {stream.percentile(99) * 1000:.1f} ms"
        )
        show_summary(self.console, self.platform, served_at(self.endpoint))

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        environment = {
            "MOVIEREC_ENDPOINTS": self.endpoint,
            "DAGSTER_WEBSERVER_PORT": self.api.url.rpartition(":")[2],  # of links to runs
            "PYTHONUNBUFFERED": "1",
        }
        log = self.phases.logs / f"{name}.log"
        process = running(name, self._calls[name], log, environment, self.root)
        return self._stack.enter_context(process)

    def _deliver(self) -> None:
        cache = Path(self.staged.path).parent
        fetch("ml-100k", None, self.staged, cache, console=self.console)
        landing = self.platform.landing_zone
        landing.deliver_movies(self.staged.read_movies()[1])
        for day in self.staged.days()[:-1]:
            landing.deliver(day, self.staged.read(day)[1])

    def _ask_for_history(self) -> tuple[str, str]:
        """Ask for the catalogue and the ingestion of all earlier days, as a run, and for the
        training of the last days, as a backfill; their ids.

        The pool lets one of them write the warehouse at a time, in this order: the first run waits
        in the queue already when the daemon makes a run of the backfill. Two backfills could
        change places, and one backfill with two ranges would wait 30 s for its second run.
        """
        earlier = {
            RANGE_START: FIRST.isoformat(),
            RANGE_END: (TRAINED - timedelta(days=1)).isoformat(),
        }
        ingestion = self.api.launch_job(ASSETS, earlier | AHEAD, ("movies", *INGESTION))
        days = TRAINED.isoformat(), BEFORE.isoformat()
        backfill = self.api.launch_backfill(
            f"demo: train the last {TRAINED_DAYS} days",
            dict.fromkeys((*INGESTION, *TRAINING), days),
        )
        return ingestion, backfill

    def _follow(self, ingestion: str, backfill: str, days: int) -> None:
        """Show the progress of both until they have succeeded."""
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}")
        with Progress(*columns, TimeElapsedColumn(), console=self.console) as bars:
            validated = bars.add_task("days validated", total=days)
            trained = bars.add_task("days trained", total=TRAINED_DAYS)

            def done() -> bool:
                self._show_progress(bars, validated, trained)
                return self._finished(ingestion) and self._filled(backfill)

            wait_until(done, "history is not done", 900, self._daemon, every_s=2.0)
            self._show_progress(bars, validated, trained)

    def _show_progress(self, bars: Progress, validated: TaskID, trained: TaskID) -> None:
        # A look that finds the file held is left out: to wait would hold up what it looks at.
        warehouse = Warehouse(path=self.platform.warehouse.path, wait_s=0.0)
        try:
            chunks, models = warehouse.chunks(), warehouse.models()
        except WarehouseHeldError:
            return
        judged = sum(any(chunk.verdict for chunk in of_day) for of_day in chunks.values())
        bars.update(validated, completed=judged)
        bars.update(trained, completed=len(models))

    def _filled(self, backfill: str) -> bool:
        """Whether a backfill's run has succeeded; its own status follows up to 30 s later.

        Raises:
            DagsterApiError: the run failed, or the backfill did.
        """
        state = self.api.backfill(backfill)
        runs = [run["runId"] for run in state["runs"]]
        if state["status"] == "FAILED":
            raise DagsterApiError(f"backfill {backfill} failed: {state['error']}")
        return bool(runs) and all(map(self._finished, runs))

    def _production(self) -> int:
        production = self.platform.model_registry.production()
        if production is None:
            raise DemoError("no version passed the gate: see gate_verdict in Dagster's UI")
        return production.number

    def _until_served(self, version: int) -> None:
        what = "the endpoint does not serve production"
        wait_until(lambda: served_at(self.endpoint) == version, what, 180, self._daemon)

    def _one_more_day(self, first: int) -> tuple[Stream, int]:
        """The last day arrives while requests do; the requests, and the version after it."""
        day = LAST.isoformat()
        self.platform.landing_zone.deliver(day, self.staged.read(day)[1])
        with Stream(self.endpoint, USERS) as stream:
            run = self.api.launch_job("daily", {RANGE_START: day, RANGE_END: day})
            what = "the day's run does not end"
            wait_until(lambda: self._finished(run), what, 300, self._daemon)
            newest = self._production()
            if newest == first:
                raise DemoError(f"{day} was not promoted: see gate_verdict in Dagster's UI")
            self._until_served(newest)
            stream.run_on(100)
        if stream.failures:
            failed = f"{len(stream.failures)} of {stream.sent} requests failed"
            raise DemoError(f"{failed}, the first: {stream.failures[0]}")
        return stream, newest

    def _finished(self, run: str) -> bool:
        status = self.api.run_status(run)
        if status in ("FAILURE", "CANCELED"):
            raise DagsterApiError(f"run {run} ended as {status}")
        return status == "SUCCESS"

    def _until_idle(self, backfill: str) -> None:
        """Wait for the last deployment, too: a run whose process is stopped would never end."""

        def idle() -> bool:
            ended = self.api.backfill(backfill)["status"] != "REQUESTED"
            return ended and not self.api.unfinished_runs()

        wait_until(idle, "Dagster's runs do not end", 180, self._daemon)


def _forget_endpoint(store: Path, port: int) -> None:
    """Remove what the endpoint on a port that was free kept: nobody will start on it again."""
    for file in store.glob(f".serving-{port}*"):
        file.unlink()
