"""Metrics of this machine: disk by store, and memory and CPU of each of our processes by name.

Processes are read from /proc, as node-exporter reads the machine's; where there is none (macOS),
they are left out. A process is ours if it runs in this home's folder.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from movierec_assets.exporting.gauges import gauge_by
from movierec_assets.maintenance.disk import bytes_by_store

PROC = Path("/proc")
PAGE, TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
PROGRAMS = ("python", "dagster", "mlflow", "movierec")
# A word of the command line, and what the process is called; the first that fits.
NAMES = {
    "movierec_serving": "endpoint",
    "dagster-webserver": "webserver",
    "dagster-daemon": "daemon",
    "execute_run": "run",
    "execute_step": "run",
    "grpc": "code server",
    "mlflow": "mlflow",
    "metrics": "exporter",
    "up": "up",
}


def store_metrics(warehouse: Path) -> Iterable[Metric]:
    """Walk the warehouse: seconds on a large one, so it is asked for seldom."""
    sizes = bytes_by_store(warehouse)
    yield gauge_by("movierec_store_bytes", "Bytes on the disk of each store", "store", sizes)


def machine_metrics(home: Path, warehouse: Path) -> Iterable[Metric]:
    """The disk that the warehouse is on, which may be one of its own, and the home's processes."""
    disk = shutil.disk_usage(warehouse)
    yield GaugeMetricFamily(
        "movierec_disk_free_bytes",
        "Free bytes of the disk that the warehouse is on",
        value=disk.free,
    )
    yield GaugeMetricFamily(
        "movierec_disk_size_bytes", "Size of the disk that the warehouse is on", value=disk.total
    )
    running, memory, cpu_s = Counter[str](), Counter[str](), defaultdict[str, float](float)
    for process in sorted(processes(home), key=lambda process: process.kind):
        running[process.kind] += 1
        memory[process.kind] += process.memory
        cpu_s[process.kind] += process.cpu_s
    yield gauge_by(
        "movierec_processes",
        "How many processes of a kind run on this machine",
        "process",
        running,
    )
    yield gauge_by(
        "movierec_process_resident_memory_bytes",
        "Memory of the processes of a kind; pages that several of them share count for each",
        "process",
        memory,
    )
    cpu = CounterMetricFamily(
        "movierec_process_cpu_seconds",
        "CPU time of the processes of a kind that run now",
        labels=["process"],
    )
    for kind, seconds in cpu_s.items():
        cpu.add_metric([kind], seconds)
    yield cpu


@dataclass(frozen=True)
class Process:
    """A process of this home: bytes of memory, seconds of CPU so far."""

    kind: str
    memory: int
    cpu_s: float


def processes(home: Path) -> Iterator[Process]:
    """Take the processes that run in the folder `home` and are called as the platform does."""
    for folder in PROC.iterdir() if PROC.is_dir() else ():
        if not folder.name.isdecimal():
            continue
        try:
            if (folder / "cwd").readlink() != home:
                continue
            words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended, or is somebody else's
            continue
        kind = _kind(words)
        if kind is not None:
            cpu = (int(fields[11]) + int(fields[12])) / TICKS
            yield Process(kind, int(fields[21]) * PAGE, cpu)


def _kind(words: list[str]) -> str | None:
    """Name a process by the words of its command line, without programs' folders."""
    if not Path(words[0]).name.startswith(PROGRAMS):  # a shell or curl may name one of ours
        return None
    called = {Path(word).name for word in words}
    return next((kind for word, kind in NAMES.items() if word in called), None)
