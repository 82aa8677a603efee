"""GET at a constant rate beside FastAPI, as people come: `python -m bench open_loop`.

A load that waits for its answers asks less when the server is slow, and so hides its pauses. Here
requests are due at a rate that is chosen beforehand, and a latency counts from the moment at which
its request was due. The servers have one core, the callers the other.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import cast

import numpy as np
import uvloop
from numpy.typing import NDArray

from bench.goals import goal
from bench.serving.client import get, reload, run_load
from bench.serving.endpoint import Server, ours, running
from bench.serving.lists import opened, users
from bench.serving.published import CACHE, copy_version, published

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS, CONNECTIONS = 4, 64
SHARES = (0.5, 0.8)  # of what the slower one can answer


class Caller(asyncio.Protocol):
    """A connection: one request at a time, and the moment at which it was due."""

    def __init__(self, idle: deque[Caller], late: list[float]) -> None:
        self.idle, self.late = idle, late
        self.due, self.left, self.head = 0.0, 0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.loop = cast(asyncio.Transport, transport), asyncio.get_running_loop()
        self.idle.append(self)

    def ask(self, request: bytes, due: float) -> None:
        self.due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self.left:
            self.head += data
            head, end, body = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 200"), head
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self.left, data, self.head = int(length), body, b""
        self.left -= len(data)
        if not self.left:
            self.late.append(self.loop.time() - self.due)
            self.idle.append(self)


async def _at_rate(port: int, requests: Sequence[bytes], rate: float) -> NDArray[np.float64]:
    """(N,) seconds from the moment at which each request was due to the end of its answer."""
    loop = asyncio.get_running_loop()
    idle, late = deque[Caller](), list[float]()
    callers = [
        await loop.create_connection(lambda: Caller(idle, late), "127.0.0.1", port)
        for _ in range(CONNECTIONS)
    ]
    count, start, asked = int(rate * SECONDS), loop.time(), 0
    ahead = cycle(requests)
    while len(late) < count:
        while asked < count and idle and (due := start + asked / rate) <= loop.time():
            idle.popleft().ask(next(ahead), due)
            asked += 1
        await asyncio.sleep(0)
    for transport, _ in callers:
        transport.close()
    return np.array(late)


def main() -> bool:
    """The table, and whether ours is no later than FastAPI at the same rate."""
    os.sched_setaffinity(0, {1})
    version = published("ml-100k")
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        home = Path(folder)
        copy_version(version, home / "warehouse" / "models", 1)
        requests = [get(f"/recommend/{user}") for user in users(opened(home))]
        fastapi = [sys.executable, "-m", "bench.serving.fastapi_lists", "pydantic", folder]
        servers = {"ours": ours(home), "fastapi": Server([*fastapi, "{port}"], home)}
        for server in servers.values():
            server.command = ["taskset", "--cpu-list", "0", *server.command]
        with running(*servers.values()):
            reload(servers["ours"].port, 1)
            return _measured(servers, requests)


def _measured(servers: dict[str, Server], requests: Sequence[bytes]) -> bool:
    capacity = {}
    for who, server in servers.items():
        loads = [run_load(server.port, requests, CONNECTIONS, 2) for _ in range(3)]
        capacity[who] = max(load.answered / load.seconds for load in loads)
    print(", ".join(f"{who} answers {rate:,.0f} a second" for who, rate in capacity.items()))
    print(f"\nmedians of {ROUNDS} rounds of {SECONDS} s, {CONNECTIONS} connections")
    print("| requests a second | who | p50 ms | p99 ms | longest ms |\n|---|---|---|---|---|")
    met = []
    for share in SHARES:
        rate = share * min(capacity.values())
        rows: dict[str, list[NDArray[np.float64]]] = {who: [] for who in servers}
        for who in islice(cycle(servers), ROUNDS * len(servers)):
            late = uvloop.run(_at_rate(servers[who].port, requests, rate))
            rows[who].append(np.percentile(late * 1e3, [50, 99, 100]))
        for who, figures in rows.items():
            p50, p99, longest = np.median(figures, axis=0)
            print(f"| {rate:,.0f} | {who} | {p50:.2f} | {p99:.2f} | {longest:.1f} |")
        pairs = zip(rows["ours"], rows["fastapi"], strict=True)
        over = float(np.median([own[1] / other[1] for own, other in pairs]))
        met.append(goal(f"get_p99_over_fastapi_at_{share:.0%}_of_its_rate", over, 1))
    return all(met)
