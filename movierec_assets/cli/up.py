"""`movierec up`: webserver, daemon, endpoint and MLflow's UI together, until Ctrl-C.

The console shows what a person wants to know; what the processes write goes to log files.
"""

from __future__ import annotations

import queue
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from movierec_assets.cli.guardian import Guardian
from movierec_assets.cli.news import News
from movierec_assets.cli.ports import conflicts, ports_of
from movierec_assets.cli.processes import LoggedProcess, commands, exporter_command, stop_all
from movierec_assets.cli.renewal import renewal
from movierec_assets.cli.setup import configure, create_databases
from movierec_assets.errors import InUseError
from movierec_assets.platform import Platform
from movierec_assets.settings import Settings
from movierec_assets.settings.unknown import unknown_settings

LOOK_S = 2.0  # between two looks at the processes and the news


def exclusively(warehouse: Path) -> FileLock:
    """The lock of the one platform that runs on a warehouse: two daemons would do everything twice.

    Raises:
        InUseError: it is held.
    """
    lock = FileLock(warehouse / "platform.lock", timeout=0)
    warehouse.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire()
    except Timeout:
        raise InUseError(
            f"another `movierec up` or demo runs on {warehouse}: stop it first"
        ) from None
    return lock


def end_abandoned_runs() -> None:
    """Report runs as failed that a power cut or a kill of everything left as started.

    Only for who holds the platform's lock: no daemon runs, so nothing else will. Dagster watches
    run workers through their code server, and one that died with it would hold the pool for ever.
    """
    unfinished = [
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    with dg.DagsterInstance.get() as instance:
        for run in instance.get_runs(dg.RunsFilter(statuses=unfinished)):
            instance.report_run_failed(
                run, "the platform was stopped while this ran: launch it again"
            )


def up(root: Path) -> int:
    """Run all until Ctrl-C, or until one of them ends.

    Returns:
        0 after Ctrl-C or SIGTERM, 1 if a process ended by itself.

    Raises:
        HomeError: `root` cannot be a home.
        InUseError: another platform runs on its warehouse, or a port is taken; nothing was started.
    """
    home_settings = configure(root)
    with exclusively(home_settings.warehouse), _signals() as signals:
        if reasons := conflicts(ports_of(home_settings)):
            raise InUseError("; ".join(reasons) + ". Nothing was started")
        create_databases(home_settings)
        end_abandoned_runs()
        return _run(root, home_settings, signals, Console(highlight=False, soft_wrap=True))


@contextmanager
def _signals() -> Iterator[queue.SimpleQueue[int]]:
    """Ctrl-C and SIGTERM, queued for the time of the block instead of raised wherever they come."""
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()  # its put is safe inside a handler
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, lambda number, _: signals.put(number)) for kind in kinds]
    try:
        yield signals
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


def _run(
    root: Path, home_settings: Settings, signals: queue.SimpleQueue[int], console: Console
) -> int:
    logs = home_settings.warehouse / "logs"
    calls = commands(
        home_settings.webserver_port,
        home_settings.serving_port,
        home_settings.mlflow_port,
        home_settings.tracking_uri,
    )
    calls["metrics"] = exporter_command(home_settings.metrics_port)
    if home_settings.mlflow_is_elsewhere:
        del calls["mlflow"]
    ui = f"http://127.0.0.1:{home_settings.webserver_port}"
    console.print(_addresses(home_settings, ui, logs, list(calls)), markup=False)
    for line in unknown_settings(root / ".env"):
        console.print(line, markup=False, style="yellow")
    started: list[LoggedProcess] = []
    try:
        with Guardian() as guardian, dg.DagsterInstance.get() as instance:
            for name, call in calls.items():
                started.append(LoggedProcess(name, call, logs / f"{name}.log", root))
                guardian.guard(started[-1].group)
            if note := renewal(Platform.of(home_settings)):
                console.print(note, markup=False)
            news = News(instance, Platform.of(home_settings).serving_client, ui)
            return _watch(started, news, signals, console)
    finally:
        stop_all(started)
        console.print("all stopped")


def _watch(
    started: Sequence[LoggedProcess],
    news: News,
    signals: queue.SimpleQueue[int],
    console: Console,
) -> int:
    """Tell the news until a signal comes or a process ends; the exit code."""
    while True:
        with suppress(queue.Empty):
            signals.get(timeout=LOOK_S)
            console.print("\nstopping …")
            return 0
        for process in started:
            if (code := process.exit_code) is not None:
                console.print(
                    f"{process.name} ended by itself with code {code}: see {process.log}",
                    markup=False,
                    style="red",
                )
                return 1
        with suppress(SQLAlchemyError):  # Dagster's database is busy: told at the next look
            for line in news.lines():
                console.print(f"{datetime.now().astimezone():%H:%M:%S} {line}", markup=False)


def _addresses(home_settings: Settings, ui: str, logs: Path, names: Sequence[str]) -> str:
    """What runs where, and where each writes its log."""
    endpoint = f"http://127.0.0.1:{home_settings.serving_port}"
    return (
        f"Dagster   {ui}\n"
        f"endpoint  {endpoint}   its routes: {endpoint}/docs\n"
        f"page      {endpoint}/app   for people; for you: {endpoint}/app/status\n"
        f"MLflow    {home_settings.mlflow_ui}\n"
        f"metrics   {endpoint}/metrics and http://127.0.0.1:{home_settings.metrics_port}/metrics\n"
        f"logs      {logs}/: {', '.join(f'{name}.log' for name in names)}\n"
        "Ctrl-C stops all"
    )
