"""Servers as processes, what they cost, a client that loads them, and generated models for them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from movierec_serving.bundle import BundleContent, Movie, publish, write_bundle

ROOT = Path(__file__).parents[1]
TOKEN = "bench"  # noqa: S105 - of servers that live for a minute
GENRES = [f"Genre {number}" for number in range(19)]


@dataclass(frozen=True)
class Shape:
    users: int
    items: int
    factors: int
    seen: int


SHAPES = {"ml-100k": Shape(943, 1682, 64, 106), "ml-25m": Shape(20_000, 59_047, 128, 150)}


def build(home: Path, shape: Shape, version: int, seed: int = 0) -> None:
    """Publish a model whose spectrum falls as k^-1/2 and whose item norms grow with popularity, as ALS leaves them."""
    rng = np.random.default_rng(seed)
    spectrum = np.arange(1, shape.factors + 1) ** -0.5
    weight = rng.zipf(1.4, shape.items).clip(max=50_000).astype(float)
    norms = (np.log1p(weight) / np.log1p(weight).max())[:, None]
    probability = weight / weight.sum()
    seen = [np.unique(rng.choice(shape.items, shape.seen, p=probability)) for _ in range(shape.users)]
    flat = np.concatenate(seen)
    content = BundleContent(
        user_ids=sorted(f"{1_000_000 + row}" for row in range(shape.users)),
        item_ids=sorted(f"{1_000_000 + row}" for row in range(shape.items)),
        user_factors=rng.normal(size=(shape.users, shape.factors)) * spectrum,
        item_factors=rng.normal(size=(shape.items, shape.factors)) * spectrum * norms,
        seen_indptr=np.cumsum([0, *map(len, seen)]),
        seen_items=flat,
        seen_ratings=rng.choice([2.5, 4.0, 5.0], len(flat)),
        seen_confidence=np.full(len(flat), 2.4),
        popularity=np.bincount(flat, minlength=shape.items),
    )
    movies = {
        id_: Movie(
            id_, f"The Film Number {id_} ({1950 + row % 70})", (GENRES[row % 19], GENRES[row * 7 % 19])
        )
        for row, id_ in enumerate(content.item_ids)
    }
    path = home / "warehouse" / "bundles" / f"bench-{version}"
    write_bundle(
        path, content, identity=f"bench-{version}", data_until="2019-11-21", parent=None, fit="cold", seed=seed,
        parameters={"regularization": 10.0, "alpha": 0.6, "weighting": "rating"}, partitions=[], partitions_digest="",
        training_version="bench", libraries={}, blas="",
    )  # fmt: skip
    publish(path, home / "warehouse" / "models", version, movies)


@contextmanager
def running(name: str, home: Path, processes: int = 2) -> Iterator[tuple[int, int]]:
    """(port, pid) of a contender that answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MOVIEREC_", "DAGSTER_"))}
    environment = {
        **kept, "MOVIEREC_HOME": str(home), "MOVIEREC_RELOAD_TOKEN": TOKEN, "PYTHONPATH": str(ROOT),
        "OPENBLAS_NUM_THREADS": "1", "MOVIEREC_SERVING_API_PROCESSES": str(processes),
    }  # fmt: skip
    command = (
        ["movierec_serving", "--port", str(port)]
        if name == "ours"
        else ["bench.contenders", name, str(home), str(port)]
    )
    log = (home / f"{name}.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=home,
        env=environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not start: {(home / f'{name}.log').read_text()[-2000:]}")
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
        if name != "ours":  # LitServe leaves its children when it is told to end
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        log.close()


def tree(pid: int) -> dict[int, tuple[float, float]]:
    """CPU seconds and private MB of a process and all that it started."""
    stats: dict[int, tuple[int, float]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            stats[int(entry.name)] = (
                int(fields[1]),
                (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
            )
    family = {pid}
    while new := {child for child, (parent, _) in stats.items() if parent in family} - family:
        family |= new
    return {member: (stats[member][1], _private_mb(member)) for member in family if member in stats}


def _private_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private")) / 1024


@dataclass
class Load:
    """What a load saw: latencies in seconds, and answers by status (0 where the connection broke)."""

    latencies: list[float]
    statuses: dict[int, int]
    seconds: float


class _Connection(asyncio.Protocol):
    def __init__(self, load: Load, requests: Sequence[bytes], start: int, until: float) -> None:
        self.load, self.requests, self.next, self.until = load, requests, start, until
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.requests[self.next % len(self.requests)])
        self.next += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
            return
        now = time.perf_counter()
        self.buffer, status = b"", int(head[9:12])
        self.load.latencies.append(now - self.sent)
        self.load.statuses[status] = self.load.statuses.get(status, 0) + 1
        if now < self.until:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if time.perf_counter() < self.until:
            self.load.statuses[0] = self.load.statuses.get(0, 0) + 1
        self.done.set_result(None)


def run_load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    async def run() -> Load:
        load, start = Load([], {}, 0.0), time.perf_counter()
        loop, made = asyncio.get_running_loop(), []
        for number in range(connections):
            made.append(_Connection(load, requests, number * 7919, start + seconds))
            await loop.create_connection(lambda: made[-1], "127.0.0.1", port)
        await asyncio.gather(*(each.done for each in made))
        load.seconds = time.perf_counter() - start
        return load

    return asyncio.run(run())


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


def post(body: Any) -> bytes:
    content = json.dumps(body).encode()
    head = "POST /recommend HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def reload(port: int, version: int) -> tuple[int, str]:
    """Status and body."""
    answer = httpx.post(
        f"http://127.0.0.1:{port}/reload", json={"version": version}, timeout=120,
        headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False,
    )  # fmt: skip
    return answer.status_code, answer.text
