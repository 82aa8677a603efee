"""A real Prometheus, Alertmanager and node-exporter on the files of `deploy/`, and who is told."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from demo.processes import free_port, running
from tests.conftest import ROOT
from tests.support.endpoint_process import PATIENCE, wait_for
from tests.support.http_server import serving

PROGRAMS = (
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-node-exporter",
    "prometheus-blackbox-exporter",
    "promtool",
)
DEPLOY = ROOT / "deploy"
# A day's patience in a test's seconds: what the rules wait for, their windows, and two limits that
# are themselves times or days.
SHORTER = (
    (r"for: \w+", "for: 1s"),
    (r"\[(5m|1h)\]", "[9s]"),
    (r"movierec_deploy_lag_seconds > 900", "movierec_deploy_lag_seconds > 1"),
    (r"(daemon_heartbeat_timestamp_seconds\)) > 300", r"\1 > 90"),
    (r"movierec_production_days_behind > 2", "movierec_production_days_behind > 0"),
    (r"(group_wait|group_interval): \w+", r"\1: 1s"),
    (r"scrape_interval: \w+", "scrape_interval: 3s"),
    (r"evaluation_interval: \w+", "evaluation_interval: 1s"),
)

needs_programs = pytest.mark.skipif(
    any(shutil.which(name) is None for name in PROGRAMS),
    reason="Debian's prometheus, its alertmanager, node-exporter or blackbox-exporter is not here",
)


@dataclass
class Told:
    """What the webhook was told: (when, `now` or `over`, alert, text), in order."""

    messages: list[tuple[float, str, str, str]] = field(default_factory=list)

    def heard(self, kind: str, alert: str, since: float = 0.0) -> float | None:
        """When it was told that an alert is `now`, or `over`; None while it was not."""
        return next(
            (
                at
                for at, said, name, _ in self.messages
                if (said, name) == (kind, alert) and at > since
            ),
            None,
        )


@contextmanager
def webhook(told: Told) -> Iterator[str]:
    """A Slack-compatible address."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            message = body["attachments"][0]
            found = re.match(r"(now|over): (\w+)", message["title"])
            if found:
                told.messages.append((time.monotonic(), found[1], found[2], message["text"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with serving(Hook) as port:
        yield f"http://127.0.0.1:{port}/services/secret"


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    client: httpx.Client

    def query(self, query: str) -> list[dict[str, Any]]:
        """The series that a query gives now."""
        answer = self.client.get("/api/v1/query", params={"query": query}).json()
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])


@contextmanager
def watched(folder: Path, targets: dict[str, list[str]], hook: str) -> Iterator[Prometheus]:
    """All of them, with the times of `deploy/` made shorter.

    Args:
        targets: addresses by the name of their file; those of `tls` are asked by blackbox-exporter.
    """
    _shortened(folder, hook)
    ports = {name: free_port() for name in ("prometheus", "alertmanager", "node", "blackbox")}
    here = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    nobody: dict[str, list[str]] = {"endpoint": [], "pipeline": []}  # else what runs here by itself
    own = {"alertmanager": [here["alertmanager"]], "node": [here["node"]]}
    named = {**nobody, **targets, **own}
    asked = named.pop("tls", [])
    _write_targets(folder, {name: [{"targets": found}] for name, found in named.items()})
    labels = [{"__param_target": address, "instance": address} for address in asked]
    groups = [{"targets": [here["blackbox"]], "labels": some} for some in labels]
    _write_targets(folder, {"tls": groups})
    commands = {
        "node": ["prometheus-node-exporter"],
        "blackbox": [
            "prometheus-blackbox-exporter",
            f"--config.file={folder}/prometheus/blackbox.yml",
        ],
        "alertmanager": [
            "prometheus-alertmanager",
            f"--config.file={folder}/alertmanager/alertmanager.yml",
            f"--storage.path={folder}/alertmanager/data",
            "--cluster.listen-address=",
        ],
        "prometheus": [
            "prometheus",
            f"--config.file={folder}/prometheus/prometheus.yml",
            f"--storage.tsdb.path={folder}/prometheus/data",
        ],
    }
    with ExitStack() as stack:
        for name, command in commands.items():
            address = f"--web.listen-address={here[name]}"
            log = folder / f"{name}.log"
            stack.enter_context(running(name, [*command, address], log, {}, folder))
        client = httpx.Client(base_url=f"http://{here['prometheus']}", timeout=PATIENCE)
        stack.enter_context(client)
        wait_for(lambda: _ready(client), f"Prometheus is ready; its log: {folder}/prometheus.log")
        yield Prometheus(client)


def _shortened(folder: Path, hook: str) -> None:
    """Copy the configuration of `deploy/`, with shorter times and the webhook's address."""
    for part in ("prometheus", "alertmanager"):
        for file in (DEPLOY / part).rglob("*.yml"):
            text = file.read_text(encoding="utf-8")
            for pattern, shorter in SHORTER:
                text = re.sub(pattern, shorter, text)
            text = text.replace("/etc/alertmanager", f"{folder}/alertmanager")
            to = folder / file.relative_to(DEPLOY)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_text(text, encoding="utf-8")
    secret = folder / "alertmanager" / "secrets" / "webhook"
    secret.parent.mkdir()
    secret.write_text(hook)


def _write_targets(folder: Path, targets: dict[str, list[dict[str, Any]]]) -> None:
    for name, groups in targets.items():
        file = folder / "prometheus" / "targets" / f"{name}.yml"
        file.write_text(yaml.safe_dump(groups))


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False
