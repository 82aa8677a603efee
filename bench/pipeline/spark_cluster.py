"""A standalone cluster of Spark on loopback, and what its processes use."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from threading import Event, Thread

from demo.processes import free_port, running, wait_until

ROLES = {  # a part of a process's command line, the first that fits
    "deploy.master.Master": "master",
    "deploy.worker.Worker": "workers",
    "CoarseGrainedExecutorBackend": "executors, JVM",
    "pyspark.daemon": "executors, Python",
    "SparkSubmit": "driver, JVM",
    "movierec_assets.training.spark": "driver, Python",
}


def missing() -> str | None:
    """What is not here of what Spark needs."""
    if find_spec("pyspark") is None:
        return "skipped: needs pyspark: make spark"
    return (
        None if which("java") else "skipped: needs a Java runtime: apt install default-jre-headless"
    )


class Cluster:
    """One master and two workers of a core each.

    Attributes:
        master: its address.
    """

    def __init__(self, folder: Path) -> None:
        import pyspark

        self._home, self._folder = Path(pyspark.__path__[0]), folder
        self._port, self._open = free_port(), ExitStack()
        self.master = f"spark://127.0.0.1:{self._port}"
        self.sessions: set[int] = set()

    def __enter__(self) -> Cluster:
        self._start("master.Master", "--port", str(self._port))
        wait_until(lambda: self._says("master", "I have been elected leader"), "a master", 120)
        for number in (1, 2):
            work = str(self._folder / f"work{number}")
            self._start("worker.Worker", self.master, "-c", "1", "-m", "3g", "-d", work)
        wait_until(lambda: self._says("master", "Registering worker", 2), "two workers", 120)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _start(self, kind: str, *arguments: str) -> None:
        log = self._folder / f"{kind.split('.')[0]}{len(self.sessions)}.log"
        places = ["--host", "127.0.0.1", "--webui-port", "0"]
        command = [str(self._home / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}"]
        environment = {
            "SPARK_HOME": str(self._home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_DAEMON_MEMORY": "256m",
        }
        call = [*command, *places, *arguments]
        process = self._open.enter_context(running(kind, call, log, environment, self._folder))
        self.sessions.add(process.pid)

    def _says(self, log: str, what: str, times: int = 1) -> bool:
        logs = self._folder.glob(f"{log}*.log")
        return sum(file.read_text(errors="replace").count(what) for file in logs) >= times


class Usage:
    """CPU seconds, and the largest resident sets in MB, of the processes of some sessions by role.

    They are looked at four times a second: of a process that ends its last quarter is not counted.
    """

    def __init__(self) -> None:
        self.wall = 0.0
        self._cpu: dict[tuple[int, str], list[float]] = {}
        self._memory: dict[tuple[int, str], float] = {}

    @contextmanager
    def of(self, sessions: set[int]) -> Iterator[None]:
        """Watch for the time of the block; sessions may be added in it."""
        done = Event()

        def watch() -> None:
            while not done.wait(0.25):
                self._look(sessions)

        self._look(sessions)
        thread = Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self._look(sessions)

    def _look(self, sessions: set[int]) -> None:
        for pid in _of_sessions(sessions):
            try:
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            peak = re.search(r"VmHWM:\s+([0-9]+)", status)
            if (role := _role(pid)) is None or peak is None:
                continue
            used = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
            self._cpu.setdefault((pid, role), [used]).append(used)
            self._memory[pid, role] = int(peak[1]) / 1024

    @property
    def by_role(self) -> dict[str, tuple[float, float]]:
        """CPU seconds of a role's processes together, MB of its largest one."""
        usage: dict[str, tuple[float, float]] = {}
        for (pid, role), seen in self._cpu.items():
            cpu, memory = usage.get(role, (0.0, 0.0))
            used = seen[-1] - (seen[0] if role in ("master", "workers") else 0.0)
            usage[role] = cpu + used, max(memory, self._memory[pid, role])
        return usage


def _of_sessions(sessions: set[int]) -> Iterator[int]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            pid = int(entry.name)
            try:
                if os.getsid(pid) in sessions:
                    yield pid
            except ProcessLookupError:
                continue


def processes(sessions: set[int], role: str) -> Iterator[int]:
    """Those of a role."""
    return (pid for pid in _of_sessions(sessions) if _role(pid) == role)


def _role(pid: int) -> str | None:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return None
    return next((role for part, role in ROLES.items() if part in line), None)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
