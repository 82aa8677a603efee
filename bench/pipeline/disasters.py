"""What is said when a store is lost, and how long until the home is whole and serves again.

`python -m bench disasters` trains three weeks of generated ratings, then loses one store at a time
in a copy: what `movierec recover` says, what `--apply` takes, and when a started endpoint answers.
Backup, restore, prune and forget are measured on copies of the same home.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from bench.goals import goal
from movierec_assets.settings import settings
from tests.conftest import Platform, empty_home, settle
from tests.support.endpoint_process import EndpointProcess, wait_for
from tests.support.generate import as_csv, days_from, ratings_of_day
from tests.support.homes import Home

DAYS = days_from("1998-03-23", 21)  # the tenth begins a month
STORES = ("movierec.duckdb", "chunks", "bundles", "twins", "models", "mlflow.db", "dagster")
ROOT = Path(__file__).parents[2]
TOKEN = "token"  # noqa: S105 - of endpoints that this starts
USER = "ann-7f3c1e"
LIMIT_S = 300.0


@dataclass(frozen=True)
class Done:
    """A command's output, its seconds of the clock and of the processors, and its exit code."""

    output: str
    seconds: float
    cpu: float
    code: int


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = _home(Path(folder) / "home")
        print("| lost | what is said | healed after | CPU | serves after |")
        print("|---|---|---|---|---|", flush=True)
        slowest = max(_lose(home, Path(folder) / store, store) for store in STORES)
        goal("seconds until served again, the slowest store", slowest, LIMIT_S, digits=0)
        _upkeep(home, Path(folder))


def _home(folder: Path) -> Home:
    """Three weeks in one run; one user rates in the last days, and the newest version serves."""
    empty_home(folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        settle(folder, monkeypatch)
        with dg.DagsterInstance.get() as instance:
            platform = Platform(folder, instance)
            platform.deliver(*DAYS)
            for day in DAYS[-3:]:
                rows = [
                    [USER, f"m{n}", "5", row[3]] for n, row in enumerate(ratings_of_day(day)[:9])
                ]
                platform.landing_zone.deliver(day, as_csv([*ratings_of_day(day), *rows]))
            assert platform.run("-", job="catalogue").success
            assert platform.run(DAYS[0], DAYS[-1]).success
            platform.run("-", job="deploy")  # no endpoint runs: it is published all the same
    settings.cache_clear()
    return Home(folder, {})


def _lose(home: Home, folder: Path, store: str) -> float:
    """Print the row of a store; seconds from the start of the recovery to the first answer."""
    home.copy(folder, without=store)
    (folder / "warehouse" / "dagster").mkdir(exist_ok=True)
    said = _movierec(folder, "recover").output.strip().splitlines()[0]
    started = time.perf_counter()
    healed = _movierec(folder, "recover", "--apply")
    assert healed.code == 0, healed.output
    _serve(folder)
    served = time.perf_counter() - started
    loss = said.partition("; ")[0]
    print(f"| `{store}` | {loss} | {healed.seconds:.0f} s | {healed.cpu:.0f} s | {served:.0f} s |")
    sys.stdout.flush()
    return served


def _upkeep(home: Home, folder: Path) -> None:
    """Backup and restore at another path, prune, forget: seconds and processors' seconds."""
    work, elsewhere, archive = folder / "work", folder / "elsewhere", folder / "home.tar.gz"
    home.copy(work)
    print("\n| command | seconds | CPU |\n|---|---|---|")
    for name, arguments in (
        ("backup", ["backup", str(archive)]),
        ("restore --to", ["restore", str(archive), "--to", str(elsewhere)]),
        ("prune --keep 5 --apply", ["prune", "--keep", "5", "--apply"]),
        ("forget", ["forget", USER, "--reason", "a bench"]),
    ):
        done = _movierec(work, *arguments)
        assert done.code == 0, done.output
        print(f"| `{name}` | {done.seconds:.0f} | {done.cpu:.0f} |", flush=True)
    _serve(elsewhere)
    files = [file for file in (work / "warehouse").rglob("*") if file.is_file()]
    left = sum(USER.encode() in file.read_bytes() for file in files)
    goal("files with the forgotten id", left, 0, digits=0)


def _serve(folder: Path) -> None:
    """Start an endpoint and wait until it answers a user from a model."""
    endpoint = EndpointProcess(folder, TOKEN).start()
    try:
        wait_for(lambda: endpoint.client.get("/health/ready").status_code == 200, "it serves")
        assert endpoint.client.get("/recommend/u1").json()["items"]
    finally:
        endpoint.stop()


def _movierec(folder: Path, *arguments: str) -> Done:
    """A command in a process of its own, in a home that this process's settings do not name."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MOVIEREC_", "DAGSTER_"))}
    environment = {
        **kept,
        "PYTHONPATH": str(ROOT),
        "DAGSTER_HOME": str(folder),
        "MOVIEREC_HOME": str(folder),
        "MOVIEREC_DAGSTER_DIR": str(folder / "warehouse" / "dagster"),
        "MOVIEREC_RELOAD_TOKEN": TOKEN,
        "MOVIEREC_ENDPOINTS": "http://127.0.0.1:1",
        "MOVIEREC_GATE_MARGIN": "0.9",
    }
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "movierec_assets", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Done(done.stdout, time.perf_counter() - started, cpu, done.returncode)
