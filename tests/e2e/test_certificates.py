"""A certificate that ends, and a proxy that is gone, are told by the real programs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from demo.processes import free_port, wait_until
from tests.support.monitoring import Told, needs_programs, watched, webhook
from tests.support.nginx import certificate, nginx

PATIENCE_S = 60.0


@needs_programs
def test_a_certificate_that_ends_and_a_proxy_that_is_gone_are_told(tmp_path: Path) -> None:
    told, address = Told(), f"127.0.0.1:{free_port()}"
    folder = tmp_path / "nginx"
    folder.mkdir()
    pem, key = certificate(folder, days=10)
    values = {
        **dict.fromkeys(("ENDPOINT_A", "ENDPOINT_B", "DAGSTER", "MLFLOW"), "127.0.0.1:9"),
        **{name: f"127.0.0.1:{free_port()}" for name in ("DAGSTER_LISTEN", "MLFLOW_LISTEN")},
        "API_LISTEN": address,
        "CERTIFICATE": pem,
        "CERTIFICATE_KEY": key,
        "USERS": folder / "users",
        "LOG": folder / "log",
    }

    def wait(kind: str, alert: str, since: float = 0.0) -> None:
        wait_until(lambda: told.heard(kind, alert, since), f"{alert} is {kind}", PATIENCE_S)

    with webhook(told) as hook, watched(tmp_path / "watching", {"tls": [address]}, hook):
        with nginx(folder, values):
            wait("now", "CertificateEnds")
            certificate(folder, days=90)
            renewed = time.monotonic()
            main = int((folder / "nginx.pid").read_text())
            os.kill(main, signal.SIGHUP)
            wait("over", "CertificateEnds", renewed)
        wait("now", "ProxyDown")
    texts = [text for _, _, alert, text in told.messages if alert == "ProxyDown"]
    assert f"{address} opens no TLS connection" in texts[0]
