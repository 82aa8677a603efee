"""Events under kills, a full disk and two endpoints: `python -m bench keeping`.

Callers send events, and send again what was not acknowledged. Meanwhile processes are killed, or
the disk is full. In the end every acknowledged event must be in the store once, and in one delivery
once.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench.goals import goal
from bench.serving.client import reload
from bench.serving.endpoint import Server, running
from bench.serving.published import CACHE, copy_version, published
from movierec_assets.ratings.collected import chunk_of
from movierec_serving.events import TYPES, EventStore, open_store
from tests.support.postgres import PASSWORD, postgres

SEED = int(os.environ.get("BENCH_SEED", "1"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "20"))
CALLERS, EACH = 6, 5
DAYS = 3  # over which the events are delivered


@dataclass
class Sent:
    """What callers saw."""

    acknowledged: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)


def main() -> bool:
    """Whether every goal is met."""
    met = []
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        for name, disturb in (("kills", _kill), ("full disk", _fill_disk)):
            home = _home(Path(folder) / name)
            server = _server(home)
            met.append(_under(name, [server], disturb, open_store(home / "warehouse" / "events")))
        try:
            met.append(_on_postgresql(Path(folder)))
        except pytest.skip.Exception as why:
            print(f"two endpoints on PostgreSQL: not run, it {why}")
    return all(met)


def _on_postgresql(folder: Path) -> bool:
    with postgres("events") as address:
        url = f"postgresql://movierec:{PASSWORD}@{address}/events"
        homes = [_home(folder / name) for name in ("one", "other")]
        pair = [_server(home, MOVIEREC_EVENTS_URL=url) for home in homes]
        store = open_store(homes[0], url)
        return _under("two endpoints on PostgreSQL", pair, _kill, store)


def _home(home: Path) -> Path:
    home.mkdir()
    copy_version(published("ml-100k"), home / "warehouse" / "models", 1)
    return home


def _server(home: Path, **environment: str) -> Server:
    command = [sys.executable, "-m", "movierec_serving", "--port", "{port}"]
    return Server(command, home, **environment)


def _under(
    name: str,
    servers: Sequence[Server],
    disturb: Callable[[random.Random, Sequence[Server]], str],
    store: EventStore,
) -> bool:
    sent, done, rng = Sent(), threading.Event(), random.Random(SEED)
    disturbed: Counter[str] = Counter()
    with running(*servers):
        for server in servers:
            reload(server.port, 1)
        callers = [
            threading.Thread(target=_call, args=(number, servers, sent, done))
            for number in range(CALLERS)
        ]
        for caller in callers:
            caller.start()
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            disturbed[disturb(rng, servers)] += 1
            done.wait(rng.uniform(0.2, 1.0))
        _mend(servers)
        done.set()
        for caller in callers:
            caller.join()
    return _judge(name, sent, disturbed, store)


def _judge(name: str, sent: Sent, disturbed: Counter[str], store: EventStore) -> bool:
    """Deliver what was kept, a day twice, and compare with what was acknowledged."""
    kept = Counter(kept_event.event.event_id for kept_event in store.done_between(0, 2**40))
    delivered: Counter[str] = Counter()
    now = int(time.time())
    for number in range(DAYS):
        day = f"2000-01-0{number + 1}"
        for _ in range(2):
            collected = chunk_of(store.collect(day, now + number), day, TYPES)
        lines = collected.content.decode().splitlines()[1:]
        delivered.update(line.rpartition(",")[2] for line in lines)
    store.close()
    print(
        f"\n{name}: {dict(disturbed)}; answers {dict(sent.answers)}; acknowledged "
        f"{len(sent.acknowledged):,}, kept {len(kept):,}, delivered {len(delivered):,}"
    )
    prefix = f"events_{name.replace(' ', '_')}"
    twice = sum(count - 1 for counted in (kept, delivered) for count in counted.values())
    lost = len(sent.acknowledged - set(kept)) + len(set(kept) - set(delivered))
    return all(
        [
            goal(f"{prefix}_lost", lost, 0, digits=0),
            goal(f"{prefix}_twice", twice, 0, digits=0),
            goal(f"{prefix}_acknowledged", len(sent.acknowledged), 100, at_most=False, digits=0),
        ]
    )


def _call(number: int, servers: Sequence[Server], sent: Sent, done: threading.Event) -> None:
    """Send events until told to stop; what was not acknowledged is sent again, to another one."""
    turn = 0
    while not done.is_set():
        turn += 1
        body = [
            {
                "event_id": f"{number}-{turn}-{place}",
                "user_id": f"u{turn % 500}",
                "movie_id": f"m{turn}-{place}",
                "type": "rating",
                "value": 4.0,
                "timestamp": 1_000_000_000 + turn,
            }
            for place in range(EACH)
        ]
        for attempt in range(1000):
            server = servers[(number + attempt) % len(servers)]
            if _acknowledged(server, body, sent):
                break
            if done.wait(0.05):
                return


def _acknowledged(server: Server, body: list[dict[str, object]], sent: Sent) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/events", json.dumps({"events": body}), headers)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        sent.answers[type(error).__name__] += 1
        return False
    finally:
        connection.close()
    sent.answers[str(answer.status)] += 1
    if answer.status != 200:
        return False
    results = json.loads(content)["results"]
    sent.acknowledged |= {result["event_id"] for result in results if "status" in result}
    return True


def _processes(server: Server) -> list[int]:
    """Those that answer, as the endpoint itself names them."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", "/model")
        content = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return []
    finally:
        connection.close()
    processes = content.get("processes", [])
    return [process["pid"] for process in processes if process["process"].startswith("api")]


def _kill(rng: random.Random, servers: Sequence[Server]) -> str:
    server = rng.choice(list(servers))
    with suppress(ProcessLookupError, IndexError):
        os.kill(rng.choice(_processes(server)), signal.SIGKILL)
    return "killed"


def _fill_disk(rng: random.Random, servers: Sequence[Server]) -> str:
    """No file may grow from now on, or again any."""
    full = rng.random() < 0.5
    with ExitStack() as ended:
        ended.enter_context(suppress(ProcessLookupError))
        for server in servers:
            database = server.home / "warehouse" / "events" / "events.db-wal"
            size = database.stat().st_size + 4096 if database.exists() else 1 << 16
            for pid in _processes(server):
                limit = size if full else resource.RLIM_INFINITY
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    return "full" if full else "room again"


def _mend(servers: Sequence[Server]) -> None:
    for server in servers:
        for pid in _processes(server):
            with suppress(ProcessLookupError):
                unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    time.sleep(2)  # what is retried now is acknowledged
