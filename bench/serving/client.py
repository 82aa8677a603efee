"""Clients: as many requests as possible by wrk, or one after the other over a connection; and
reloads.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.serving.endpoint import TOKEN


@dataclass(frozen=True)
class Load:
    """What as many requests as possible saw: latencies in ms; errors are all that was not 200."""

    answered: int
    seconds: float
    p50: float
    p99: float
    errors: int


def run_load(port: int, requests: Sequence[bytes], connections: int, seconds: int) -> Load:
    """By wrk where it is installed: a client in Python takes as much CPU as what it measures."""
    if shutil.which("wrk") is None:
        return asyncio.run(_bundled_load(port, requests, connections, seconds))
    with tempfile.TemporaryDirectory(prefix="movierec-wrk-") as folder:
        data, script = Path(folder) / "requests", Path(folder) / "load.lua"
        data.write_bytes(b"".join(b"%d\n%b" % (len(request), request) for request in requests))
        script.write_text(WRK % str(data))
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--timeout",
            "20s",
            "-s",
            str(script),
        ]
        out = subprocess.run(
            [*command, f"http://127.0.0.1:{port}"], check=True, capture_output=True, text=True
        ).stdout
    return Load(**json.loads(out.rpartition("LOAD ")[2]))


WRK = """
local requests, n, i = {}, 0, 0
function init(args)
  local file = io.open("%s", "rb")
  while true do
    local size = file:read("*n")
    if not size then break end
    file:read(1)
    n = n + 1
    requests[n] = file:read(size)
  end
end
function request() i = i %% n + 1; return requests[i] end
function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format(
    'LOAD {"answered": %%d, "seconds": %%f, "p50": %%f, "p99": %%f, "errors": %%d}',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


async def _bundled_load(
    port: int, requests: Sequence[bytes], connections: int, seconds: int
) -> Load:
    latencies: list[float] = []
    errors, started = 0, time.perf_counter()

    async def caller(number: int) -> None:
        nonlocal errors
        connection = Connection(port)
        for turn in range(sys.maxsize):
            sent = time.perf_counter()
            if sent > started + seconds:
                break
            status, _ = await connection.ask(requests[(number * 7919 + turn) % len(requests)])
            errors += status != "200"
            latencies.append(time.perf_counter() - sent)
        connection.close()

    await asyncio.gather(*map(caller, range(connections)))
    p50, p99 = np.percentile(latencies, [50, 99]) * 1e3
    return Load(len(latencies), time.perf_counter() - started, float(p50), float(p99), errors)


class Connection:
    """One client, one request at a time; it connects again when the connection broke."""

    def __init__(self, port: int, patience: float = 20.0) -> None:
        self.port, self.patience = port, patience
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> tuple[str, int | None]:
        """Status, or why there is none; and the version that answered."""
        try:
            async with asyncio.timeout(self.patience):
                if self.writer is None:
                    self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
                self.writer.write(request)
                head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
                await self.reader.readexactly(int(_header(head, b"content-length") or 0))
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.close()
            causes = {ConnectionRefusedError: "refused", TimeoutError: "no answer"}
            return causes.get(type(error), "reset"), None
        version = _header(head, b"x-model-version")
        return head[9:12].decode(), int(version) if version else None

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def _header(head: bytes, name: bytes) -> bytes | None:
    _, there, rest = head.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip() if there else None


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


def post(body: Any, path: str = "/recommend") -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def reload(port: int, version: int) -> tuple[int, Mapping[str, Any]]:
    """Status and body; by the standard library, since a client made for each reload would hold up
    the callers.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/reload", json.dumps({"version": version}), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()
