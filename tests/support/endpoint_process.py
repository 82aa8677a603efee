"""A real `python -m movierec_serving`, for tests that speak HTTP to it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from demo.processes import free_port

TOKEN = "token-of-the-tests"
ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds for a state to be reached; only what never comes takes them


def wait_for(state: Callable[[], Any], what: str) -> Any:
    """Until `state()` is true; looked at often, and not for ever."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.02)):
        if found := state():
            return found
        pause.wait(0.02)
    raise AssertionError(f"not reached within {PATIENCE:g} s: {what}")


def descendants(pid: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := parent_of(int(entry.name))) is not None:
            parents[int(entry.name)] = parent
    found: set[int] = set()
    while new := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= new
    return found


def parent_of(pid: int) -> int | None:
    """None when it has ended, a zombie included."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[1])


def wait_until_gone(pids: set[int]) -> None:
    """multiprocessing's resource tracker ends by itself, a moment after the process it serves."""
    wait_for(lambda: all(parent_of(pid) is None for pid in pids), f"none of {pids} is left")


class EndpointProcess:
    """The endpoint of one home folder; `start` returns as soon as it answers at all."""

    def __init__(
        self, home: Path, token: str | None = TOKEN, port: int | None = None, **settings: str
    ) -> None:
        self.home, self.port = home, port or free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.log = home / f"serving-{self.port}.log"
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MOVIEREC_", "DAGSTER_"))}
        self._env = {**kept, "MOVIEREC_HOME": str(home), "PYTHONPATH": str(ROOT), **settings}
        if token is not None:
            self._env["MOVIEREC_RELOAD_TOKEN"] = token
        self.client = self.another_client()

    def another_client(self, **options: Any) -> httpx.Client:
        """With connections of its own, which any process may accept.

        No certificates are read, which would take longer than most tests: there is no TLS.
        """
        fixed: dict[str, Any] = {"timeout": PATIENCE, "trust_env": False, "verify": False}
        return httpx.Client(base_url=self.url, **fixed, **options)

    @property
    def store(self) -> Path:
        return self.home / "warehouse" / "models"

    def launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "movierec_serving", "--port", str(self.port)]
            self.process = subprocess.Popen(
                command,
                cwd=self.home,
                env=self._env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.process

    def start(self) -> "EndpointProcess":
        self.launch()
        wait_for(self._answers, f"the endpoint answers; its log: {self.log}")
        return self

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"the endpoint ended:\n{self.log.read_text()}"
        try:
            self.client.get("/health")
        except httpx.TransportError:
            return False
        return True

    def stop(self) -> int:
        """SIGTERM; the exit code. No process of it is left, or this fails."""
        family = descendants(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self.client.close()
        wait_until_gone(family)
        return code

    def close(self) -> None:
        """Whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        self.client.close()

    def reload(self, version: Any, token: str | None = TOKEN) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.client.post("/reload", json={"version": version}, headers=headers)
