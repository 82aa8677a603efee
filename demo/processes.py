"""Processes of benches and tests: started in a group of their own, stopped with all their children,
waited for.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import tenacity

T = TypeVar("T")
STOP_DEADLINE_S = 20.0
PORTS = range(20_000, 32_000)  # below those that the kernel gives to clients as they connect


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, and no client comes to use."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def running(
    name: str, command: list[str], log: Path, environment: dict[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """One process, with its children, for the time of the block; its output goes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to stop; after a deadline kill it, and in any case what it left of its
    group.
    """
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_DEADLINE_S)
    with contextlib.suppress(ProcessLookupError):  # the group is empty
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class StillWaitingError(Exception):
    """What is waited for is not so yet."""


def wait_until(
    done: Callable[[], T | None],
    what: str,
    seconds: float,
    process: subprocess.Popen[bytes] | None = None,
    every_s: float = 0.25,
) -> T:
    """Poll `done` every so often until it gives something true.

    Raises:
        RuntimeError: it did not within `seconds`, or `process` ended; says `what`.
    """

    def attempt() -> T:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{what}: the process ended with code {process.returncode}")
        result = done()
        if not result:
            raise StillWaitingError
        return result

    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(StillWaitingError),
        wait=tenacity.wait_fixed(every_s),
        stop=tenacity.stop_after_delay(seconds),
    )
    try:
        return waiting(attempt)
    except tenacity.RetryError:
        raise RuntimeError(f"{what}: not within {seconds:.0f} s") from None
