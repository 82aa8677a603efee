"""Endpoint and pipeline broken in twelve ways, each told by a real Prometheus and Alertmanager."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from demo.processes import free_port, running, wait_until
from movierec_assets.settings import settings
from tests.conftest import ROOT, Platform
from tests.support.endpoint_process import TOKEN, EndpointProcess
from tests.support.generate import as_csv, days_from, ratings_of_day
from tests.support.monitoring import DEPLOY, Prometheus, Told, needs_programs, watched, webhook
from tests.support.processes import started
from tests.support.sample_models import publish_version

DAYS = days_from("1998-03-02", 5)
PATIENCE_S = 60.0
MOVIEREC = [sys.executable, "-m", "movierec_assets"]
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
# The exporter reads the file each second: while it does, nobody else can open it to write.
HOLD = """
import duckdb, sys, time
deadline, connection = time.monotonic() + 30, None
while connection is None:
    try:
        connection = duckdb.connect(sys.argv[1])
    except duckdb.IOException:
        if time.monotonic() > deadline:
            raise
print("ready", flush=True)
sys.stdin.read()
"""


class Exporter:
    """`movierec metrics` of a home, started as `deploy/compose.yaml` does, but on loopback; it may
    be stopped and started again.
    """

    def __init__(self, home: Path) -> None:
        self._home, self.port, self._running = home, free_port(), ExitStack()

    def start(self) -> None:
        here = {"0.0.0.0": "127.0.0.1", "9464": str(self.port)}  # noqa: S104
        program, *words = COMPOSE["services"]["exporter"]["command"]
        assert program == "movierec"
        command = [*MOVIEREC, *(here.get(word, word) for word in words), "--max-age", "1"]
        log, environment = self._home / "exporter.log", {"PYTHONPATH": str(ROOT)}
        process = running("metrics", command, log, environment, self._home)
        self._running.enter_context(process)
        wait_until(self._answers, "the exporter answers", PATIENCE_S)

    def _answers(self) -> bool:
        *_, code = COMPOSE["services"]["exporter"]["healthcheck"]["test"]
        asked = [sys.executable, "-c", code.replace("9464", str(self.port))]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    def stop(self) -> None:
        self._running.close()


@dataclass(frozen=True)
class Site:
    """A platform with two days in it, its endpoint, one without a model, and who watches them."""

    platform: Platform
    endpoint: EndpointProcess
    bare: EndpointProcess
    exporter: Exporter
    prometheus: Prometheus
    told: Told

    def wait(self, kind: str, since: Mapping[str, float], *alerts: str) -> None:
        """Until the webhook was told of each, `now` or `over`, after its time in `since`."""
        for alert in alerts or since:
            wait_until(
                lambda name=alert: self.told.heard(kind, name, since[name]),
                f"the webhook is told that {alert} is {kind}",
                PATIENCE_S,
            )


@pytest.fixture
def site(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    other = tmp_path / "other"
    (other / "warehouse" / "models").mkdir(parents=True)
    endpoint, bare = EndpointProcess(platform.home), EndpointProcess(other)
    monkeypatch.setenv("MOVIEREC_ENDPOINTS", endpoint.url)
    monkeypatch.setenv("MOVIEREC_RELOAD_TOKEN", TOKEN)
    settings.cache_clear()
    exporter, told = Exporter(platform.home), Told()
    targets = {
        "endpoint": [one.url.removeprefix("http://") for one in (endpoint, bare)],
        "pipeline": [f"127.0.0.1:{exporter.port}"],
    }
    with ExitStack() as stack:
        for process in (endpoint, bare):
            stack.callback(process.close)
            process.start()
        platform.deliver(*DAYS[:2], ratings=1500)
        assert platform.run("-", job="catalogue").success
        assert platform.run(*DAYS[:2]).success
        assert platform.run("-", job="deploy").success
        stack.callback(exporter.stop)
        exporter.start()
        hook = stack.enter_context(webhook(told))
        prometheus = stack.enter_context(watched(tmp_path / "watching", targets, hook))
        stack.enter_context(callers(endpoint.url, bare.url))
        yield Site(platform, endpoint, bare, exporter, prometheus, told)


@contextmanager
def callers(*urls: str) -> Iterator[None]:
    """Requests of all kinds, from now to the end; the endpoint without a model answers 503."""
    ended = threading.Event()

    def call() -> None:
        with httpx.Client(timeout=5.0, trust_env=False) as client:
            while not ended.wait(0.2):
                for url in urls:
                    with suppress(httpx.TransportError):
                        for path in ("/recommend/u1", "/recommend/nobody", "/popular"):
                            client.get(url + path)
                        client.post(f"{url}/recommend", json={"users": ["u1", "u2"]})

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def without_data(prometheus: Prometheus) -> list[str]:
    """The panels of all dashboards whose query gives nothing."""
    return [
        f"{file.stem}: {panel['title']}"
        for file in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
        for panel in json.loads(file.read_text())["panels"]
        for target in panel["targets"]
        if not prometheus.query(target["expr"])
    ]


def break_pipeline(platform: Platform) -> None:
    """A day of movies that nobody knows, one that is refused, and a run without a file."""
    strange = [[user, f"{movie}x", *rest] for user, movie, *rest in ratings_of_day(DAYS[2])]
    broken = [[user, movie, "9", at] for user, movie, _, at in ratings_of_day(DAYS[3])]
    for day, rows in zip(DAYS[2:4], (strange, broken), strict=True):
        platform.landing_zone.deliver(day, as_csv(rows))
    assert platform.run(DAYS[2], DAYS[3], "raw_ratings", "validated_ratings").success
    assert not platform.run(DAYS[4]).success


def mend_pipeline(platform: Platform) -> None:
    platform.deliver(*DAYS[2:5], ratings=1500)
    assert platform.run(DAYS[2], DAYS[4]).success
    assert platform.run("-", job="deploy").success


@needs_programs
@pytest.mark.timeout(400)
def test_what_breaks_is_told_and_that_it_is_over(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    broken: dict[str, float] = {}
    mended: dict[str, float] = {}

    def note(times: dict[str, float], *alerts: str) -> None:
        times.update(dict.fromkeys(alerts, time.monotonic()))

    bare, endpoint, platform = site.bare, site.endpoint, site.platform
    note(broken, "EndpointWithoutModel", "EndpointErrors")
    wait_until(lambda: not without_data(site.prometheus), "each panel has data", PATIENCE_S)

    (endpoint.store / "77").mkdir()
    assert endpoint.reload(77).status_code == 409
    note(broken, "ReloadsRefused")
    note(mended, "ReloadsRefused")  # it is over when its window has passed
    site.wait("now", broken, "EndpointWithoutModel", "EndpointErrors", "ReloadsRefused")

    note(broken, "DataDrift", "DaysRefused", "ManyRowsRejected", "ProductionStale", "RunsFail")
    break_pipeline(platform)
    site.wait(
        "now", broken, "DataDrift", "DaysRefused", "ManyRowsRejected", "ProductionStale", "RunsFail"
    )

    note(broken, "EndpointDown", "DeployNotConverging")
    endpoint.process.terminate()
    endpoint.process.wait(20)
    with started(HOLD, str(platform.root / "movierec.duckdb")):
        note(broken, "SourceUnreadable")
        site.wait("now", broken, "EndpointDown", "DeployNotConverging", "SourceUnreadable")
    note(mended, "SourceUnreadable")

    note(mended, "EndpointWithoutModel", "EndpointErrors")
    publish_version(bare.store, 3)
    assert bare.reload(3).status_code == 200
    note(mended, "EndpointDown", "DeployNotConverging")
    endpoint.start()
    note(mended, "DataDrift", "DaysRefused", "ManyRowsRejected", "ProductionStale", "RunsFail")
    mend_pipeline(platform)
    site.wait("over", mended)

    note(broken, "ExporterDown")
    site.exporter.stop()
    site.wait("now", broken, "ExporterDown")
    note(mended, "ExporterDown")
    site.exporter.start()
    site.wait("over", mended, "ExporterDown")

    assert len(broken) == 12
    with capsys.disabled():
        sys.stdout.write(_table(site.told, broken, mended))
    texts = "".join(text for *_, text in site.told.messages)
    assert f"{endpoint.url.removeprefix('http://')} does not answer" in texts
    assert "docs/how-to/runbook.md#endpointdown" in texts


def _table(told: Told, broken: dict[str, float], mended: dict[str, float]) -> str:
    """Seconds from the break to the message, and from the mending to the one that it is over."""
    lines = ["", "| alert | told after, s | over after, s |", "|---|---|---|"]
    for alert, at in broken.items():
        now, over = told.heard("now", alert, at), told.heard("over", alert, mended[alert])
        assert now is not None
        assert over is not None
        lines.append(f"| {alert} | {now - at:.1f} | {over - mended[alert]:.1f} |")
    return "\n".join([*lines, ""])
