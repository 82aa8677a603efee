"""Servers as processes, what they cost, clients that load them, and trained models of two shapes for them."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from bench.generator import generate
from movierec_serving.bundle import Bundle, Movie, publish, write_bundle
from movierec_serving.bundle.files import seal, unseal
from movierec_serving.bundle.manifest import FORMAT_VERSION

ROOT = Path(__file__).parents[1]
CACHE = (
    Path(tempfile.gettempdir()) / f"movierec-bench-{os.getuid()}"
)  # models, for both benches; may be removed
TOKEN = "bench"  # noqa: S105 - of servers that live for minutes
GENRES = [f"Genre {number}" for number in range(19)]


@dataclass(frozen=True)
class Shape:
    users: int
    items: int
    factors: int
    ratings: int


SHAPES = {
    "ml-100k": Shape(943, 1682, 64, 105_000),
    "ml-25m": Shape(162_541, 59_047, 128, 28_500_000),  # 150 movies a user, once doubles are gone
}
BAD = ("truncated", "altered", "another format", "missing")


def trained_bundle(shape: Shape, path: Path) -> Bundle:
    """A bundle of implicit's ALS, 3 iterations on generated ratings, so spectrum, norms and seen movies fit."""
    from movierec_assets.training.als import fit
    from movierec_assets.training.factors import content
    from movierec_assets.training.interactions import Interactions, confidence

    parts = generate(users=shape.users, movies=shape.items, ratings=shape.ratings, days=100)
    users, movies, stars = (
        np.concatenate(one) for one in zip(*((d.users, d.movies, d.stars) for d in parts), strict=True)
    )
    matrix = sp.csr_matrix((stars, (users, movies)), shape=(shape.users, shape.items))
    matrix.sum_duplicates()
    rows = np.repeat(np.arange(shape.users, dtype=np.int32), np.diff(matrix.indptr))
    ids = [tuple(f"{1_000_000 + row}" for row in range(count)) for count in matrix.shape]
    data = Interactions(
        ids[0], ids[1], rows, matrix.indices, np.minimum(matrix.data, 5.0).astype(np.float32), np.zeros(len(rows), int)
    )  # fmt: skip
    parameters = {
        "factors": shape.factors, "regularization": 10.0, "alpha": 0.6, "weighting": "rating", "iterations": 3,
        "half_life_days": None,
    }  # fmt: skip
    weights = confidence(data, "2019-11-21", parameters)
    write_bundle(
        path, content(data, weights, fit(data, weights, parameters, 0)), identity=path.name,
        data_until="2019-11-21", parent=None, fit="cold", seed=0, partitions=[], parameters=parameters,
        partitions_digest="", training_version="bench", libraries={}, blas="",
    )  # fmt: skip
    return Bundle.open(path)


def published(name: str) -> Path:
    """The published model of a shape: trained and listed once, then kept in `CACHE`."""
    shape = SHAPES[name]
    CACHE.mkdir(mode=0o700, exist_ok=True)
    if CACHE.stat().st_uid != os.getuid():
        raise PermissionError(f"{CACHE} is somebody else's")
    home = CACHE / "-".join(map(str, (name, FORMAT_VERSION, shape.ratings)))
    if not (home / "1").is_dir():
        started = time.perf_counter()
        bundle = trained_bundle(shape, home / "bundle")
        cards = {
            id_: Movie(
                id_, f"The Film Number {id_} ({1950 + row % 70})", (GENRES[row % 19], GENRES[row * 7 % 19])
            )
            for row, id_ in enumerate(bundle.item_ids.astype(str).tolist())
        }
        publish(home / "bundle", home, 1, cards)
        seconds = time.perf_counter() - started
        per_user = len(bundle.seen_items) / shape.users
        print(
            f"{name}: trained and published in {seconds:.0f} s, {per_user:.0f} seen movies a user", flush=True
        )
    return home / "1"


def copy_version(source: Path, store: Path, version: int, broken: str = "") -> Path:
    """The published model in files of its own, as a version with an identity of its own; broken if asked to."""
    final = store / str(version)
    if broken == "missing":
        return final
    shutil.copytree(source, final, copy_function=shutil.copyfile)
    for name, changed in (("manifest.json", {}), ("publication.json", {"version": version})):
        document = unseal((final / name).read_text(), name, FORMAT_VERSION)
        document |= {**changed, "identity": f"bench-{version}"}
        if broken == "another format":
            document["format_version"] = FORMAT_VERSION + 1
        (final / name).write_text(seal(document))
    lists = final / "top_items.npy"
    if broken == "truncated":
        os.truncate(lists, lists.stat().st_size // 2)
    if broken == "altered":
        with lists.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\x7f")
    return final


class Server:
    """A contender as a process on a port of its own."""

    def __init__(self, command: Sequence[str], home: Path, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.command = [part.format(port=self.port) for part in command]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MOVIEREC_", "DAGSTER_", "MLFLOW_"))}
        self.home, self.environment = home, {
            **kept, "MOVIEREC_HOME": str(home), "MOVIEREC_RELOAD_TOKEN": TOKEN, "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', '')}", **environment,
        }  # fmt: skip
        self.log = home / f"{self.port}.log"

    def start(self) -> Server:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.home,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def wait(self) -> Server:
        """Until the port is open."""
        deadline = time.monotonic() + 90
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.command} does not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        with suppress(ProcessLookupError):  # LitServe by itself leaves its children when it is told to end
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def ours(home: Path) -> Server:
    return Server([sys.executable, "-m", "movierec_serving", "--port", "{port}"], home)


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait()
        yield
    finally:
        for server in servers:
            if hasattr(server, "process"):
                server.stop()


@dataclass(frozen=True)
class Process:
    """CPU seconds so far; MB that are its own, and its share of pages that several have mapped."""

    cpu: float
    private: float
    shared: float
    command: str


def tree(pid: int) -> dict[int, Process]:
    """A process and all that it started. Over them, `private` + `shared` counts each page once."""
    stats: dict[int, tuple[int, float]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                ticks = int(fields[11]) + int(fields[12])
                stats[int(entry.name)] = int(fields[1]), ticks / os.sysconf("SC_CLK_TCK")
    family = {pid}
    while new := {child for child, (parent, _) in stats.items() if parent in family} - family:
        family |= new
    found = {}
    for member in family & stats.keys():
        with suppress(OSError):
            lines = [
                line.split() for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()[1:]
            ]
            mb = {name.rstrip(":"): int(kb) / 1024 for name, kb, *_ in lines}
            private = mb["Private_Clean"] + mb["Private_Dirty"]
            command = Path(f"/proc/{member}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            found[member] = Process(stats[member][1], private, mb["Pss"] - private, command)
    return found


def mapped_mb(pid: int, folder: Path) -> float:
    """MB of the folder's files that a process and all that it started have in memory, each page once."""
    total = 0
    for member in tree(pid):
        with suppress(OSError):
            inside = False
            for line in Path(f"/proc/{member}/smaps").read_text().splitlines():
                name, *rest = line.split()
                if not name.endswith(":"):  # a mapping's first line: addresses, ..., path
                    inside = str(folder) in line
                elif inside and name == "Pss:":
                    total += int(rest[0])
    return total / 1024


def cpu(pid: int) -> float:
    return sum(one.cpu for one in tree(pid).values())


# -- clients ------------------------------------------------------------------------------------------------


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
        data.write_bytes(b"".join(b"%d\n%b" % (len(one), one) for one in requests))
        script.write_text(WRK % str(data))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script)]
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
  io.write(string.format('LOAD {"answered": %%d, "seconds": %%f, "p50": %%f, "p99": %%f, "errors": %%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


async def _bundled_load(port: int, requests: Sequence[bytes], connections: int, seconds: int) -> Load:
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
    _, found, rest = head.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip() if found else None


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


def post(body: Any, path: str = "/recommend") -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def reload(port: int, version: int) -> tuple[int, Mapping[str, Any]]:
    """Status and body; by the standard library, since a client made for each reload would hold up the callers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/reload", json.dumps({"version": version}), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()
