"""The ports of a platform: all are looked at before anything starts.

Who listens on them is `processes`; here is only whether they are free, and which setting moves one.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from movierec_assets.settings import Settings

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Port:
    """A port that a process of the platform is to listen on, and the setting that moves it."""

    user: str
    number: int
    setting: str

    def taken(self) -> bool:
        """Whether somebody listens on it, on loopback or on every interface.

        Asked in two ways, since neither is enough: macOS lets a second process bind to loopback
        beside one that listens everywhere, and one that is about to listen answers nobody yet.
        """
        with socket.socket() as caller:
            caller.settimeout(1.0)
            if caller.connect_ex((LOOPBACK, self.number)) == 0:
                return True
        with socket.socket() as listener:
            # As the servers do: a connection that has just ended keeps nobody from listening.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((LOOPBACK, self.number))
            except OSError:
                return True
        return False


def ports_of(settings: Settings) -> list[Port]:
    """Each port of `movierec up`; MLflow's only where the platform runs MLflow itself."""
    ports = [
        Port("the endpoint", settings.serving_port, "MOVIEREC_SERVING_PORT"),
        Port("Dagster's UI", settings.webserver_port, "DAGSTER_WEBSERVER_PORT"),
        Port("the pipeline's metrics", settings.metrics_port, "MOVIEREC_METRICS_PORT"),
    ]
    if not settings.mlflow_is_elsewhere:
        ports.append(Port("MLflow's UI", settings.mlflow_port, "MOVIEREC_MLFLOW_PORT"))
    return ports


def conflicts(ports: Iterable[Port]) -> list[str]:
    """Say of each port that cannot be used why, and which setting moves it."""
    reasons: list[str] = []
    users: dict[int, str] = {}
    for port in ports:
        if port.number in users:
            reasons.append(
                f"port {port.number} is asked for by {users[port.number]} and {port.user}: set "
                f"{port.setting} to another"
            )
        elif port.taken():
            reasons.append(
                f"port {port.number} of {port.user} is taken: end what listens there, or set "
                f"{port.setting} to a free one"
            )
        users.setdefault(port.number, port.user)
    return reasons
