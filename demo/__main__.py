"""`make demo`: real ratings, real processes, from the first day to a reload under load."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
from dotenv import dotenv_values
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.dagster_api import DagsterApi, DagsterApiError
from demo.processes import free_port, running, wait_until
from demo.stream import Stream, served_at
from movierec_assets.cli.fetch import fetch
from movierec_assets.cli.processes import commands
from movierec_assets.cli.setup import set_up
from movierec_assets.cli.up import exclusively
from movierec_assets.errors import InUseError
from movierec_assets.partitions import RANGE_END, RANGE_START
from movierec_assets.platform import Platform
from movierec_assets.ratings.ledger import in_force
from movierec_assets.resources.registry.model_registry import ModelRegistry
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings

TRAINED_DAYS = 14
FIRST, LAST = date(1997, 9, 20), date(1998, 4, 22)
USERS = ("1", "405")
OWN_SETTINGS = {"DAGSTER_HOME", "MOVIEREC_DAGSTER_DIR", "MOVIEREC_RELOAD_TOKEN"}
KEPT = {"migrations", "cache", "platform.lock"}  # of the warehouse, when the demo starts anew


class DemoError(RuntimeError):
    """A step failed; the message says which, and where its log is."""


def demo(root: Path) -> None:
    """Run the demo in the checkout `root`; all processes that it starts are stopped, whatever
    happens.

    Raises:
        DemoError: a step failed, or the warehouse holds data that is not the demo's.
    """
    console = Console(highlight=False)
    try:
        with exclusively(root / "warehouse"):
            _start_anew(root)
            chosen = set_up(root)
            phases = Phases(console, chosen.warehouse / "logs")
            with ExitStack() as stack:
                _run(root, chosen, phases, console, stack)
            phases.report()
    except InUseError as error:
        raise DemoError(str(error)) from error


def _run(root: Path, chosen: Settings, phases: Phases, console: Console, stack: ExitStack) -> None:
    adapters = Platform.of(chosen)
    landing: LandingZone = adapters.landing_zone
    warehouse: Warehouse = adapters.warehouse
    registry: ModelRegistry = adapters.model_registry
    staged = _staged(chosen.warehouse)
    endpoint, webserver = (
        f"http://127.0.0.1:{(port := free_port())}",
        f"http://127.0.0.1:{(ui := free_port())}",
    )
    environment = {
        "MOVIEREC_ENDPOINTS": endpoint,
        "MOVIEREC_SERVING_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    calls = commands(ui, port, 0, chosen.tracking_uri)

    def start(name: str) -> Any:
        return stack.enter_context(
            running(name, calls[name], phases.logs / f"{name}.log", environment, root)
        )

    def follow(version: int) -> None:
        what = "the endpoint does not serve production"
        wait_until(lambda: served_at(endpoint) == version, what, 120, daemon)

    before = LAST - timedelta(days=1)
    with phases("deliver", "ratings of all days but the last"):
        fetch("ml-100k", None, staged, chosen.warehouse / "cache", console=console)
        landing.deliver_movies(staged.read_movies()[1])
        for day in staged.days()[:-1]:
            landing.deliver(day, staged.read(day)[1])
    with phases("start", "endpoint, Dagster's webserver and daemon"):
        start("endpoint")
        process = start("webserver")
        api = DagsterApi(webserver)
        wait_until(api.location, "Dagster's code location is not loaded", 120, process)
        # Asked for before the daemon runs: its first tick is at its start, the next one 30 s later.
        api.launch_job("catalogue", {})
        trained = (before - timedelta(days=TRAINED_DAYS - 1)).isoformat()
        days = (FIRST.isoformat(), before.isoformat())
        backfill = api.launch_backfill(
            "demo: ingest all days, train the last 14",
            {
                **dict.fromkeys(("raw_ratings", "validated_ratings"), days),
                **dict.fromkeys(
                    ("als_model", "registered_model", "gate_verdict"), (trained, days[1])
                ),
            },
        )
        daemon = start("daemon")
    console.print(f"Dagster's UI while this runs: {webserver}")
    with phases(
        "backfill",
        f"{(before - FIRST).days + 1} days ingested and validated, {TRAINED_DAYS} trained",
    ):
        _follow_backfill(api, backfill, warehouse, (before - FIRST).days + 1, console, daemon)
    with phases("deploy", "the sensor makes the endpoint load production"):
        production = registry.production()
        if production is None:
            raise DemoError("no version passed the gate: see gate_verdict in Dagster's UI")
        follow(production.number)
    for user in (*USERS, "somebody-new"):
        _show(console, endpoint, user)
    with phases("one more day", f"{LAST} under a steady stream of requests"):
        landing.deliver(LAST.isoformat(), staged.read(LAST.isoformat())[1])
        with Stream(endpoint, [*USERS, "somebody-new"]) as stream:
            run = api.launch_job(
                "daily", {RANGE_START: LAST.isoformat(), RANGE_END: LAST.isoformat()}
            )
            wait_until(lambda: _finished(api, run), "the day's run does not end", 180, daemon)
            newest = registry.production()
            if newest is None or newest.number == production.number:
                raise DemoError(
                    "the last day's version was not promoted: see gate_verdict in Dagster's UI"
                )
            follow(newest.number)
            stream.run_on(100)
    if stream.failures:
        raise DemoError(
            f"{len(stream.failures)} of {stream.sent} requests failed, the first: "
            f"{stream.failures[0]}"
        )
    console.print(
        f"\nversion {production.number} → {newest.number} under load: {stream.sent} requests, "
        "none failed, "
        f"versions seen {sorted(stream.versions)}, p99 {stream.percentile(99) * 1000:.1f} ms"
    )
    _summary(console, warehouse, registry, served_at(endpoint))


class Phases:
    """Times each phase, and says which failed and where its logs are."""

    def __init__(self, console: Console, logs: Path) -> None:
        self.console, self.logs, self.seconds = console, logs, dict[str, float]()

    @contextmanager
    def __call__(self, name: str, what: str) -> Iterator[None]:
        self.console.print(f"[bold]{name}[/]: {what}")
        begun = time.monotonic()
        try:
            yield
        except Exception as error:
            raise DemoError(f"step '{name}' ({what}) failed: {error}\nlogs: {self.logs}") from error
        self.seconds[name] = time.monotonic() - begun

    def report(self) -> None:
        table = Table("phase", "seconds", title="time")
        for name, seconds in self.seconds.items():
            table.add_row(name, f"{seconds:.1f}")
        table.add_row("all", f"{sum(self.seconds.values()):.1f}")
        self.console.print(table)


def _start_anew(root: Path) -> None:
    """Empty a warehouse that only an earlier demo filled, so that the demo works twice; refuse any
    other.

    Raises:
        DemoError: a chunk in it is none that a demo delivered, or .env has settings that the demo
        must choose.
    """
    given = {*dotenv_values(root / ".env"), *os.environ}
    foreign = sorted(
        key
        for key in given
        if key.startswith(("MOVIEREC_", "MLFLOW_TRACKING_URI")) and key not in OWN_SETTINGS
    )
    if foreign:
        raise DemoError(
            f"{', '.join(foreign)}: set in .env or the environment, and would lead the demo to "
            "other data; "
            "run it without, in a fresh clone"
        )
    warehouse = root / "warehouse"
    archived = {file.name for file in (warehouse / "chunks").glob("*/*")}
    others = (archived | _digests(warehouse / "landing")) - _digests(Path(_staged(warehouse).path))
    if others:
        raise DemoError(
            f"{warehouse} holds {len(others)} files of ratings or movies that are not the demo's; "
            "nothing was touched. "
            "Run the demo in another clone, or move the warehouse's content away"
        )
    for entry in warehouse.iterdir():
        if entry.name in KEPT:
            continue
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _staged(warehouse: Path) -> LandingZone:
    """Where the demo keeps the data set by day; also what tells its chunks from others'."""
    return LandingZone(path=str(warehouse / "cache" / "demo"))


def _digests(landing: Path) -> set[str]:
    """sha256 of the files in a landing zone."""
    files = [*(landing / "ratings").glob("*.*"), *landing.glob("movies.csv")]
    return {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _follow_backfill(
    api: DagsterApi, backfill: str, warehouse: Warehouse, days: int, console: Console, daemon: Any
) -> None:
    """Show the backfill's progress until it ends."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=console,
    ) as bars:
        validated, trained = (
            bars.add_task("days validated", total=days),
            bars.add_task("days trained", total=TRAINED_DAYS),
        )

        def ended() -> dict[str, Any] | None:
            state = api.backfill(backfill)
            ledger = warehouse.chunks()
            bars.update(
                validated,
                completed=sum(any(one.verdict for one in chunks) for chunks in ledger.values()),
            )
            bars.update(trained, completed=len(warehouse.models()))
            return None if state["status"] in ("REQUESTED", "CANCELING") else state

        state = wait_until(ended, "the backfill does not end", 600, daemon)
    if state["status"] != "COMPLETED_SUCCESS":
        raise DemoError(
            f"the backfill ended as {state['status']}: {state.get('error') or state['runs']}"
        )


def _finished(api: DagsterApi, run: str) -> bool:
    status = api.run_status(run)
    if status in ("FAILURE", "CANCELED"):
        raise DagsterApiError(f"run {run} ended as {status}")
    return status == "SUCCESS"


def _show(console: Console, endpoint: str, user: str) -> None:
    answer = (
        httpx.get(f"{endpoint}/recommend/{user}", params={"n": 5}, timeout=10)
        .raise_for_status()
        .json()
    )
    head = (
        f"user {user}: {answer['source']}, version {answer['model_version']}, data until "
        f"{answer['data_until']}"
    )
    table = Table("", "title", "genres", "score", title=head, title_justify="left")
    for rank, item in enumerate(answer["items"], 1):
        table.add_row(str(rank), item["title"], ", ".join(item["genres"]), f"{item['score']:.3f}")
    console.print(table)


def _summary(
    console: Console, warehouse: Warehouse, registry: ModelRegistry, served: int | None
) -> None:
    chunks = [one for of_day in warehouse.chunks().values() for one in in_force(of_day)]
    models = [one for one in warehouse.models().values() if one.identity]
    production, last = registry.production(), models[-1].metrics
    assert production is not None, "the demo has just seen it served"
    table = Table(show_header=False, title="summary")
    counts = {
        name: sum(getattr(one, name) for one in chunks)
        for name in ("rows", "validated", "rejected", "superseded")
    }
    parts = " + ".join(
        f"{counts[name]:,} {name}" for name in ("validated", "rejected", "superseded")
    )
    for name, value in (
        ("days", f"{len(chunks)}, {sum(one.rows == 0 for one in chunks)} of them without ratings"),
        ("rows", f"{counts['rows']:,} = {parts}"),
        ("versions", f"{len(registry.versions())}, one a trained day"),
        (
            "NDCG@10",
            f"{last['ndcg_at_10']:.4f}, popularity {last['popularity_ndcg_at_10']:.4f}",
        ),
        ("production", f"version {production.number}, data until {production.data_until}"),
        ("served", f"version {served}"),
    ):
        table.add_row(name, value)
    console.print(table)


if __name__ == "__main__":
    try:
        demo(Path.cwd())
    except DemoError as error:
        raise SystemExit(f"demo: {error}") from error
