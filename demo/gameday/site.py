"""The platform of a game day: `movierec up` in a small home, a second endpoint, and who is told.

Which way it is broken is `breaks`. All ports are free ones, and all that runs ends with the block.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
from dotenv import dotenv_values, set_key

from demo.dagster_api import DagsterApi
from demo.processes import free_port, running, wait_until
from demo.stream import served_at
from movierec_assets.partitions import RANGE_END, RANGE_START
from movierec_assets.resources.stores.landing_zone import LandingZone
from tests.support.generate import as_csv, catalogue, days_from, ratings_of_day
from tests.support.http_server import serving
from tests.support.monitoring import Prometheus, watched

ROOT = Path(__file__).parents[2]
MOVIEREC = [sys.executable, "-m", "movierec_assets"]
DAYS = days_from("1998-03-02", 16)
TRAINED = 3  # of them, before anything is broken
ROOM = "1g"  # of the small disk that the warehouse is on
PATIENCE_S = 180.0


class Site:
    """A home that runs, and what people do with it."""

    def __init__(self, home: Path) -> None:
        self.home, self.warehouse = home, home / "warehouse"
        self.heard: list[str] = []  # by the webhook: notices, and titles of alerts
        self.ports = {name: free_port() for name in ("A", "B", "ui", "metrics", "mlflow")}
        self.urls = {name: f"http://127.0.0.1:{self.ports[name]}" for name in ("A", "B")}
        self.api = DagsterApi(f"http://127.0.0.1:{self.ports['ui']}")
        self.landing = LandingZone(path=str(self.warehouse / "landing"))
        self.pinned = 0
        self.prometheus: Prometheus | None = None
        self._days = iter(DAYS)
        self._running: dict[str, tuple[subprocess.Popen[bytes], ExitStack]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """Of each process: nothing of this one's settings."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MOVIEREC_", "DAGSTER_"))}
        return {
            **kept,
            "MOVIEREC_HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
        }

    def movierec(self, *arguments: str) -> tuple[int, str]:
        """A command in the home: its exit code, and what it says."""
        settings = {key: value for key, value in dotenv_values(self.home / ".env").items() if value}
        done = subprocess.run(
            [*MOVIEREC, *arguments],
            cwd=self.home,
            env={**self.environment, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def set(self, name: str, value: str) -> None:
        """A line of `.env`."""
        set_key(self.home / ".env", name, value, quote_mode="always")

    def up(self) -> None:
        """`movierec up`, until it serves."""
        process = self.start("up", [*MOVIEREC, "up"])
        wait_until(self.api.location, "the code location is loaded", PATIENCE_S, process)
        wait_until(lambda: _answers(self.urls["A"]), "the endpoint answers", PATIENCE_S, process)

    def start_b(self, token: str | None = None) -> None:
        """The second endpoint, by itself; with a wrong token, if one is given."""
        settings = {"MOVIEREC_SERVING_PORT": str(self.ports["B"])}
        settings |= {"MOVIEREC_RELOAD_TOKEN": token} if token else {}
        self.start("B", [sys.executable, "-m", "movierec_serving"], **settings)
        wait_until(lambda: _answers(self.urls["B"]), "the second endpoint answers", PATIENCE_S)

    def start(self, name: str, command: list[str], **settings: str) -> subprocess.Popen[bytes]:
        stack, log = ExitStack(), self.home / f"{name}.log"
        environment = {**self.environment, **settings}
        process = stack.enter_context(running(name, command, log, environment, self.home))
        self._running[name] = process, stack
        return process

    def stop(self, *names: str) -> None:
        for name in names:
            _, stack = self._running.pop(name)
            stack.close()

    def signal(self, word: str, number: signal.Signals) -> None:
        """A signal to each process of the home that the word names, whoever started it."""
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended meanwhile, or is another user's
                words = (process / "cmdline").read_bytes().decode().split("\0")
                ours = f"DAGSTER_HOME={self.home}\0".encode() in (process / "environ").read_bytes()
                if ours and any(Path(part).name == word for part in words):
                    os.kill(int(process.name), number)

    def ended(self, name: str) -> None:
        """Wait until a process has ended by itself."""
        self._running[name][0].wait(PATIENCE_S)

    def deliver(self, day: str | None = None, rows: list[list[str]] | None = None) -> str:
        """A day's file, the next day's if none is named; the day."""
        day = day or next(self._days)
        self.landing.deliver(day, as_csv(rows or ratings_of_day(day)))
        return day

    def run(
        self,
        job: str,
        *assets: str,
        op: str = "",
        days: tuple[str, ...] = (),
        **config: Any,
    ) -> str:
        """A run of a job, or of some of its assets, to its end; how it ended."""
        tags = dict(zip((RANGE_START, RANGE_END), (days[0], days[-1]), strict=True)) if days else {}
        given = {"ops": {op: {"config": config}}} if op else {}
        run = self.api.launch_job(job, tags, assets, given)
        ended = ("SUCCESS", "FAILURE", "CANCELED")

        def status() -> str | None:
            now = self.api.run_status(run)
            return now if now in ended else None

        return wait_until(status, f"{job} ends", PATIENCE_S)

    def production(self, action: str, version: int) -> str:
        """A move of production by the job of that name."""
        self.pinned = version
        return self.run(
            "set_production",
            op="change_production",
            action=action,
            version=version,
            reason="game day",
        )

    def alerts(self) -> list[str]:
        """The alerts that are on."""
        assert self.prometheus is not None
        firing = self.prometheus.query('ALERTS{alertstate="firing"}')
        return sorted({alert["metric"]["alertname"] for alert in firing})

    def served(self, name: str = "A") -> int | None:
        return served_at(self.urls[name])


@contextmanager
def site(home: Path) -> Iterator[Site]:
    """A home with some days in it, served by two endpoints and watched by Prometheus."""
    made = Site(home)
    home.mkdir(parents=True, exist_ok=True)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, home)
    with ExitStack() as stack:
        stack.enter_context(_small_disk(made.warehouse))
        hook = stack.enter_context(_webhook(made.heard))
        _write_settings(made, hook)
        stack.callback(lambda: made.stop(*list(made._running)))
        code, said = made.movierec("setup")
        assert code == 0, said
        made.landing.deliver_movies(catalogue())
        made.up()
        made.start_b()
        days = tuple(made.deliver() for _ in range(TRAINED))
        assert made.run("catalogue") == "SUCCESS"
        assert made.run("daily", days=days) == "SUCCESS"
        targets = {
            "endpoint": [url.removeprefix("http://") for url in made.urls.values()],
            "pipeline": [f"127.0.0.1:{made.ports['metrics']}"],
        }
        made.prometheus = stack.enter_context(watched(home / "watching", targets, hook))
        yield made


def _write_settings(made: Site, hook: str) -> None:
    settings: Mapping[str, str] = {
        "MOVIEREC_SERVING_PORT": str(made.ports["A"]),
        "DAGSTER_WEBSERVER_PORT": str(made.ports["ui"]),
        "MOVIEREC_METRICS_PORT": str(made.ports["metrics"]),
        "MOVIEREC_MLFLOW_PORT": str(made.ports["mlflow"]),
        "MOVIEREC_ENDPOINTS": ",".join(made.urls.values()),
        "MOVIEREC_WEBHOOK": hook,
        "MOVIEREC_GATE_MARGIN": "0.9",  # 60 generated users cannot show a margin of 5 %
        "MOVIEREC_GATE_SMALL_USERS": "0",
    }
    (made.home / ".env").touch(0o600)
    for name, value in settings.items():
        made.set(name, value)


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own for the folder, where this may make one: only root may."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def _webhook(heard: list[str]) -> Iterator[str]:
    """A Slack-compatible address: notices come as they are, alerts by their titles."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append(body.get("text") or body["attachments"][0]["title"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with serving(Hook) as port:
        yield f"http://127.0.0.1:{port}/services/secret"


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live").status_code == 200
    except httpx.TransportError:
        return False
