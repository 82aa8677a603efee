"""`movierec up`: webserver, daemon, endpoint and MLflow's UI together."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
from filelock import FileLock, Timeout
from honcho.manager import Manager

from movierec_assets.cli.processes import commands
from movierec_assets.cli.setup import set_up
from movierec_assets.errors import InUseError
from movierec_assets.resources.notifier import webserver
from movierec_assets.settings import settings
from movierec_serving.settings import ServingSettings

MLFLOW_PORT = 5000


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
    """Run all until Ctrl-C, or until one of them ends; the exit code."""
    with exclusively(settings().warehouse):
        chosen = set_up(root)
        end_abandoned_runs()
        port = ServingSettings().serving_port
        manager = Manager()
        shell = commands(urlsplit(webserver()).port or 80, port, MLFLOW_PORT, chosen.tracking_uri)
        if chosen.mlflow_tracking_uri is not None:
            del shell["mlflow"]  # a server of the user's own
        for name, command in shell.items():
            manager.add_process(name, shlex.join(command), cwd=str(root))
        sys.stdout.write(
            f"Dagster  {webserver()}\nendpoint http://127.0.0.1:{port}/docs\n"
            f"MLflow   {chosen.mlflow_tracking_uri or f'http://127.0.0.1:{MLFLOW_PORT}'}\nCtrl-C "
            "stops all\n"
        )
        sys.stdout.flush()
        manager.loop()
    return int(manager.returncode or 0)
