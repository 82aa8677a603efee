"""compose.yaml's service without containers: nginx before two endpoints, as it configures it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import httpx
import pytest

from demo.processes import free_port
from demo.stream import Stream
from movierec_assets.settings import settings
from tests.conftest import ROOT, Platform
from tests.support.endpoint_process import TOKEN, EndpointProcess
from tests.support.http_server import serving
from tests.support.nginx import certificate, nginx, user_file

DAYS = ("1997-09-20", "1997-09-21", "1997-09-22")
SECRETS = {
    **dict.fromkeys(("POSTGRES_PASSWORD", "MOVIEREC_RELOAD_TOKEN", "GRAFANA_PASSWORD"), "x"),
    **dict.fromkeys(("CERTIFICATE_FILE", "CERTIFICATE_KEY_FILE", "USERS_FILE"), "/dev/null"),
    "MOVIEREC_PARTITION_START": "2026-01-01",
}


class SaysWho(BaseHTTPRequestHandler):
    """In Dagster's place: answers with the user that the proxy names."""

    def do_GET(self) -> None:
        who = f"{self.headers.get('X-Forwarded-User')} {self.headers.get('Authorization')}"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(who.encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def says_who() -> Iterator[str]:
    """Its address."""
    with serving(SaysWho) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def endpoints(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[EndpointProcess, EndpointProcess]]:
    """Two, on the platform's store."""
    both = EndpointProcess(platform.home), EndpointProcess(platform.home)
    monkeypatch.setenv("MOVIEREC_ENDPOINTS", ",".join(one.url for one in both))
    monkeypatch.setenv("MOVIEREC_RELOAD_TOKEN", TOKEN)
    settings.cache_clear()
    try:
        for one in both:
            one.start()
        yield both
    finally:
        for one in both:
            one.close()


@pytest.fixture
def site(
    endpoints: tuple[EndpointProcess, EndpointProcess],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, str]]:
    """The three addresses of nginx, whose certificate this process trusts."""
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    pem, key = certificate(folder)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    ports = {name: f"127.0.0.1:{free_port()}" for name in ("API", "DAGSTER", "MLFLOW")}
    with says_who() as page:
        values = {
            **{f"{name}_LISTEN": address for name, address in ports.items()},
            **{
                f"ENDPOINT_{name}": f"127.0.0.1:{one.port}"
                for name, one in zip("AB", endpoints, strict=True)
            },
            "DAGSTER": page,
            "MLFLOW": page,
            "LOG": folder / "access.jsonl",
            "CERTIFICATE": pem,
            "CERTIFICATE_KEY": key,
            "USERS": user_file(folder, "ann", "secret"),
        }
        with nginx(folder, values):
            yield {name: f"https://{address}" for name, address in ports.items()}


def day(platform: Platform, *days: str) -> None:
    """Deliver and train these days, then deploy what is in production."""
    platform.deliver(*days, ratings=1500)
    assert platform.run(days[0], days[-1]).success
    assert platform.run("-", job="deploy").success


def kill(endpoint: EndpointProcess) -> None:
    """All its processes at once, as a machine that is gone."""
    assert endpoint.process is not None
    os.killpg(endpoint.process.pid, signal.SIGKILL)
    endpoint.process.wait()


def test_a_promotion_reaches_both_and_no_request_fails_when_one_is_killed(
    platform: Platform, endpoints: tuple[EndpointProcess, EndpointProcess], site: dict[str, str]
) -> None:
    platform.deliver(DAYS[0])
    assert platform.run("-", job="catalogue").success
    day(platform, *DAYS[:2])
    with Stream(site["API"], ["u1", "u2", "nobody"]) as stream:
        stream.run_on(20)
        day(platform, DAYS[2])
        assert [one.client.get("/model").json()["version"] for one in endpoints] == [3, 3]
        stream.run_on(20)
        kill(endpoints[0])
        stream.run_on(100)
        endpoints[0].start()  # it begins with what it had committed
        stream.run_on(50)
        kill(endpoints[1])
        stream.run_on(100)
    assert stream.failures == []
    assert stream.versions == {2, 3}


def test_nobody_reaches_more_than_they_may(site: dict[str, str]) -> None:
    with httpx.Client() as client:
        inside = ("/reload", "/metrics", "/model", "/blocklist/m1", "/app/status", "/")
        assert {client.get(site["API"] + path).status_code for path in inside} == {404}
        assert client.get(site["API"] + "/app").status_code != 404
        for page in ("DAGSTER", "MLFLOW"):
            forged = {"X-Forwarded-User": "root"}
            assert client.get(site[page], headers=forged).status_code == 401
            answer = client.get(site[page], headers=forged, auth=("ann", "secret"))
            assert answer.text == "ann None"  # the password goes no further


def test_compose_understands_the_file() -> None:
    if shutil.which("docker-compose") is None:
        pytest.skip("needs Debian's package docker-compose")
    command = [
        "docker-compose",
        "--file",
        str(ROOT / "deploy" / "compose.yaml"),
        "config",
        "--quiet",
    ]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    complete = subprocess.run(command, env={**kept, **SECRETS}, capture_output=True, text=True)
    assert complete.returncode == 0, complete.stderr
    without = {name: value for name, value in SECRETS.items() if name != "POSTGRES_PASSWORD"}
    refused = subprocess.run(command, env={**kept, **without}, capture_output=True, text=True)
    assert "a password for PostgreSQL" in refused.stderr
