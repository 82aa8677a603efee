"""What each of the platform's processes is called with, and one of them while it runs.

Which of them run together, and until when, is decided by `up` and by the demo.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from time import monotonic

from movierec_assets.cli.log_lines import Lines

BIN = Path(sys.executable).parent
LOG_BYTES, OLD_LOGS = 10_000_000, 2
STOP_DEADLINE_S = 12.0  # from SIGTERM to SIGKILL; the endpoint ends itself after 10

# MLflow tells its makers of its use and says so in its UI, unless told otherwise. Its server also
# starts consumers of jobs, which nothing here submits.
MLFLOW_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # `forget` opens every run's files
}


def commands(
    webserver_port: int, endpoint_port: int, mlflow_port: int, tracking_uri: str
) -> dict[str, list[str]]:
    """Command line of each process, all on loopback."""
    loopback, workspace = ["--host", "127.0.0.1", "--port"], ["-w", "workspace.yaml"]
    mlflow = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    mlflow += ["--backend-store-uri", tracking_uri]
    return {
        "endpoint": [sys.executable, "-m", "movierec_serving", "--port", str(endpoint_port)],
        "webserver": [str(BIN / "dagster-webserver"), *loopback, str(webserver_port), *workspace],
        "daemon": [str(BIN / "dagster-daemon"), "run", *workspace],
        "mlflow": [*mlflow, *loopback, str(mlflow_port)],
    }


def exporter_command(port: int) -> list[str]:
    """Command line of the process that gives Prometheus the pipeline's state, on loopback."""
    return [sys.executable, "-m", "movierec_assets", "metrics", "--port", str(port)]


class LoggedProcess:
    """A process in a group of its own, whose output goes to a log file of limited size, as
    records.
    """

    def __init__(self, name: str, command: list[str], log: Path, folder: Path) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._handler = RotatingFileHandler(
            log, maxBytes=LOG_BYTES, backupCount=OLD_LOGS, encoding="utf-8"
        )
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # Ctrl-C in the terminal is ours to handle
        )
        self._copying = threading.Thread(target=self._copy, daemon=True)
        self._copying.start()

    def _copy(self) -> None:
        assert self._process.stdout is not None
        records = Lines(self.name)
        with self._process.stdout as lines:
            for line in lines:
                self._handler.emit(logging.makeLogRecord({"msg": records.record(line)}))

    @property
    def group(self) -> int:
        """The id of its group, which all its children are in."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait_or_kill(self, seconds: float) -> None:
        """Wait for the end at most so long, then kill; what it left of its group is killed, too."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(seconds, 0))
        with contextlib.suppress(ProcessLookupError):  # the group is empty
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._copying.join(1.0)
        self._handler.close()


def stop_all(processes: Iterable[LoggedProcess]) -> None:
    """Stop them side by side; none, and no child of one, is left when this returns."""
    running = list(processes)
    for process in running:
        process.ask_to_stop()
    deadline = monotonic() + STOP_DEADLINE_S
    for process in running:
        process.wait_or_kill(deadline - monotonic())
