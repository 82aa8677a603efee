"""`movierec up`: webserver, daemon, endpoint and MLflow's UI together."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from filelock import FileLock, Timeout
from honcho.manager import Manager

from movierec_assets.commands.processes import commands
from movierec_assets.commands.setup import set_up
from movierec_serving.settings import Settings as ServingSettings

MLFLOW_PORT, WEBSERVER_PORT = 5000, 3000


class InUse(RuntimeError):
    """Another movierec runs on this warehouse."""


def exclusively(root: Path) -> FileLock:
    """The lock of the one platform that runs on a warehouse: two daemons would do everything twice.

    Raises:
        InUse: it is held.
    """
    lock = FileLock(root / "warehouse" / "platform.lock", timeout=0)
    (root / "warehouse").mkdir(exist_ok=True)
    try:
        lock.acquire()
    except Timeout:
        raise InUse(f"another `movierec up` or demo runs on {root / 'warehouse'}: stop it first") from None
    return lock


def up(root: Path) -> int:
    """Run all until Ctrl-C, or until one of them ends; the exit code."""
    with exclusively(root):
        chosen = set_up(root)
        port = ServingSettings().serving_port
        manager = Manager()
        shell = commands(WEBSERVER_PORT, port, MLFLOW_PORT, chosen.tracking_uri)
        if chosen.mlflow_tracking_uri is not None:
            del shell["mlflow"]  # a server of the user's own
        for name, command in shell.items():
            manager.add_process(name, shlex.join(command), cwd=str(root))
        sys.stdout.write(
            f"Dagster  http://127.0.0.1:{WEBSERVER_PORT}\nendpoint http://127.0.0.1:{port}/docs\n"
            f"MLflow   {chosen.mlflow_tracking_uri or f'http://127.0.0.1:{MLFLOW_PORT}'}\nCtrl-C stops all\n"
        )
        sys.stdout.flush()
        manager.loop()
    return int(manager.returncode or 0)
