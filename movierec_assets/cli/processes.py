"""What each of the platform's processes is called with."""

from __future__ import annotations

import sys
from pathlib import Path

BIN = Path(sys.executable).parent


def commands(
    webserver_port: int, endpoint_port: int, mlflow_port: int, tracking_uri: str
) -> dict[str, list[str]]:
    """Command line of each process, all on loopback."""
    loopback, workspace = ["--host", "127.0.0.1", "--port"], ["-w", "workspace.yaml"]
    mlflow = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        tracking_uri,
        "--workers",
        "1",
    ]
    return {
        "endpoint": [sys.executable, "-m", "movierec_serving", "--port", str(endpoint_port)],
        "webserver": [str(BIN / "dagster-webserver"), *loopback, str(webserver_port), *workspace],
        "daemon": [str(BIN / "dagster-daemon"), "run", *workspace],
        "mlflow": [*mlflow, *loopback, str(mlflow_port)],
    }
