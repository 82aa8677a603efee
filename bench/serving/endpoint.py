"""Servers as processes, and what they cost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOKEN = "bench"  # noqa: S105 - of servers that live for minutes


class Server:
    """A contender as a process on a port of its own."""

    def __init__(self, command: Sequence[str], home: Path, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.command = [part.format(port=self.port) for part in command]
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("MOVIEREC_", "DAGSTER_", "MLFLOW_"))
        }
        self.home, self.environment = (
            home,
            {
                **kept,
                "MOVIEREC_HOME": str(home),
                "MOVIEREC_RELOAD_TOKEN": TOKEN,
                "OPENBLAS_NUM_THREADS": "1",
                "PYTHONPATH": str(ROOT),
                "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', '')}",
                **environment,
            },
        )
        self.log = home / f"{self.port}.log"

    def start(self) -> Server:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.home,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def wait(self) -> Server:
        """Until the port is open."""
        deadline = time.monotonic() + 90
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.command} does not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        with suppress(
            ProcessLookupError
        ):  # LitServe by itself leaves its children when it is told to end
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def ours(home: Path, **environment: str) -> Server:
    return Server(
        [sys.executable, "-m", "movierec_serving", "--port", "{port}"],
        home,
        MOVIEREC_SERVING_WORKERS=os.environ.get(
            "BENCH_WORKERS", "2"
        ),  # as many as the others have processes
        **environment,
    )


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait()
        yield
    finally:
        for server in servers:
            if hasattr(server, "process"):
                server.stop()


@dataclass(frozen=True)
class Process:
    """CPU seconds so far; MB that are its own, and its share of pages that several have mapped."""

    cpu: float
    private: float
    shared: float
    command: str


def tree(pid: int) -> dict[int, Process]:
    """A process and all that it started. Over them, `private` + `shared` counts each page once."""
    stats: dict[int, tuple[int, float]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                ticks = int(fields[11]) + int(fields[12])
                stats[int(entry.name)] = int(fields[1]), ticks / os.sysconf("SC_CLK_TCK")
    family = {pid}
    while new := {child for child, (parent, _) in stats.items() if parent in family} - family:
        family |= new
    memory = {}
    for member in family & stats.keys():
        with suppress(OSError):
            lines = [
                line.split()
                for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()[1:]
            ]
            mb = {name.rstrip(":"): int(kb) / 1024 for name, kb, *_ in lines}
            private = mb["Private_Clean"] + mb["Private_Dirty"]
            command = Path(f"/proc/{member}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            memory[member] = Process(stats[member][1], private, mb["Pss"] - private, command)
    return memory


def mapped_mb(pid: int, folder: Path) -> float:
    """MB of the folder's files that a process and all that it started have in memory, each page
    once.
    """
    total = 0
    for member in tree(pid):
        with suppress(OSError):
            inside = False
            for line in Path(f"/proc/{member}/smaps").read_text().splitlines():
                name, *rest = line.split()
                if not name.endswith(":"):  # a mapping's first line: addresses, ..., path
                    inside = str(folder) in line
                elif inside and name == "Pss:":
                    total += int(rest[0])
    return total / 1024


def cpu(pid: int) -> float:
    return sum(process.cpu for process in tree(pid).values())
