"""The endpoint's end: on a signal, at any moment, and nothing of it is left."""

import os
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support import sample_models as models
from tests.support.endpoint_process import (
    PATIENCE,
    TOKEN,
    EndpointProcess,
    descendants,
    wait_for,
    wait_until_gone,
)


def test_a_stop_leaves_no_check_of_a_version_behind(fresh: EndpointProcess) -> None:
    models.publish_version(fresh.store, 4)
    (fresh.store / "4" / "manifest.json").unlink()
    os.mkfifo(fresh.store / "4" / "manifest.json")  # reading it does not end
    fresh.start()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(fresh.reload, 4)

        def checking() -> bool:
            found = [Path(f"/proc/{pid}/cmdline") for pid in descendants(fresh.process.pid)]
            with suppress(OSError):  # one that has just ended
                return any(b"inspection" in one.read_bytes() for one in found)
            return False

        wait_for(checking, "version 4 is checked")
        fresh.stop()
        assert isinstance(waiting.exception(5), httpx.TransportError)


@pytest.mark.parametrize("finished", [True, False])
def test_a_stop_waits_for_requests_under_way_and_not_for_ever(store: Path, finished: bool) -> None:
    endpoint = EndpointProcess(store.parents[1], MOVIEREC_SERVING_API_PROCESSES="1").start()
    body = b'{"version": 3}'
    head = (
        f"POST /reload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: "
        "application/json\r\n"
    )
    head += f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    address = "127.0.0.1", endpoint.port
    try:
        with (
            socket.create_connection(address, PATIENCE) as asking,
            socket.create_connection(address, PATIENCE) as idle,
        ):
            idle.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            whole = b""
            while not whole.endswith(b'{"status":"ok"}'):
                whole += idle.recv(1000)
            asking.sendall(head.encode())
            assert asking.recv(100).startswith(b"HTTP/1.1 100")  # so it is under way
            endpoint.process.send_signal(signal.SIGTERM)
            assert idle.recv(1000) == b""  # so the process is ending
            if finished:
                asking.sendall(body)
                assert asking.recv(1000).startswith(b"HTTP/1.1 200")
            assert endpoint.process.wait(PATIENCE) == 0
    finally:
        endpoint.close()


def test_nothing_is_left_when_the_main_process_is_killed(fresh: EndpointProcess) -> None:
    fresh.start()
    family = descendants(fresh.process.pid)
    fresh.process.kill()
    fresh.process.wait(PATIENCE)
    wait_until_gone(family)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["main process", "process group"])
def test_a_signal_ends_all_of_it_at_once(
    fresh: EndpointProcess, number: signal.Signals, send: Callable[[int, int], None]
) -> None:
    fresh.start()
    family = descendants(fresh.process.pid)
    assert len(family) >= 4  # the manager, two API processes, the worker
    send(fresh.process.pid, number)
    assert fresh.process.wait(8) == 0
    wait_until_gone(family)
    assert "Traceback" not in fresh.log.read_text()


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["main process", "process group"])
def test_a_signal_while_it_starts_leaves_nothing(
    fresh: EndpointProcess, send: Callable[[int, int], None]
) -> None:
    """At each moment between the first child and the last."""
    for children in (1, 2, 3, 4, 5):
        process = fresh.launch()
        seen: set[int] = set()

        def enough(pid: int = process.pid, wanted: int = children, seen: set[int] = seen) -> bool:
            seen |= descendants(pid)
            return len(seen) >= wanted

        wait_for(enough, f"{children} children")
        send(process.pid, signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        wait_until_gone(seen)
