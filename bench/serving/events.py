"""Events beside FastAPI with one SQLite transaction a request, and what they cost those who only
ask for lists: `python -m bench events`.

All contenders run at once on one disk and are loaded in turn, several rounds; ratios are of the
same round, and their median counts.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from bench.goals import goal
from bench.serving.client import get, post, reload, run_load
from bench.serving.endpoint import Server, cpu, ours, running
from bench.serving.lists import opened, users
from bench.serving.published import CACHE, copy_version, published
from movierec_serving.events import Event
from movierec_serving.events.log import EventLog

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = 2
PASSES = 3  # over the kinds of lists in a round, each in another order
CALLERS = 64
BATCH = 100
MANY = int(os.environ.get("BENCH_USERS", "1000000"))  # users with events, in the second part
LATELY = 100  # users of the model who did something
# The endpoint as it would be without events and without the record of what was shown. It is changed
# once the counts have their place: imported earlier, the metrics would be those of one process.
WITHOUT = """
import sys
from movierec_serving import __main__ as it, slots
folder = slots.folder
def without(place):
    from movierec_serving.model.holder import ModelHolder
    from movierec_serving.runtime import server, worker
    worker.holder_of = server.holder_of = lambda chosen: ModelHolder(chosen.store, chosen.pointer)
    return folder(place)
slots.folder = without
sys.argv[1:] = ["--port", "{port}"]
it.main()
"""
# Whoever collects traces: it reads them, and keeps none.
COLLECTOR = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", {port}), Collector).serve_forever()
"""
NUMBER = itertools.count()


def events(count: int) -> list[dict[str, object]]:
    """New ones of users whom no model knows."""
    now = int(time.time())
    return [
        {
            "event_id": f"bench-{number}",
            "user_id": f"somebody {number % 50_000}",
            "movie_id": f"movie {number % 1000}",
            "type": "rating",
            "value": 4.5,
            "timestamp": now,
        }
        for number in itertools.islice(NUMBER, count)
    ]


def bodies(each: int) -> list[bytes]:
    """As many requests as a load can send, none of them twice."""
    if each == 1:
        return [post(event, "/events") for event in events(20_000)]
    return [post({"events": events(each)}, "/events") for _ in range(2_000)]


def measure(servers: dict[str, Server], asked: list[str]) -> dict[str, list[tuple[float, ...]]]:
    """What was loaded -> (events or lists a second, p99 ms, CPU µs of each) of each round."""
    fresh, rest = asked[:LATELY], asked[LATELY:]
    figures: dict[str, list[tuple[float, ...]]] = defaultdict(list)

    def load(name: str, who: str, requests: list[bytes], each: int) -> None:
        pid = servers[who].process.pid
        before = cpu(pid)
        answers = run_load(servers[who].port, requests, CALLERS, SECONDS)
        answered = max(answers.answered * each, 1)
        used = (cpu(pid) - before) / answered * 1e6
        figures[name].append((answered / answers.seconds, answers.p99, used, answers.errors))

    lists = {
        "GET without": ("without", [get(f"/recommend/{user}") for user in rest]),
        "GET traced": ("traced", [get(f"/recommend/{user}") for user in rest]),
        "GET": ("ours", [get(f"/recommend/{user}") for user in rest]),
        "GET lately": ("ours", [get(f"/recommend/{user}") for user in fresh]),
    }
    for _ in range(ROUNDS):
        load("one a transaction", "fastapi", bodies(1), 1)
        load("one", "ours", bodies(1), 1)
        load("hundred", "ours", bodies(BATCH), BATCH)
        for _ in range(PASSES):
            for name in random.sample([*lists], len(lists)):
                load(name, *lists[name], 1)
    return figures


def show(title: str, figures: dict[str, list[tuple[float, ...]]]) -> None:
    print(f"\n{title}, medians of {ROUNDS} rounds, {CALLERS} connections")
    print("| asked | a second | p99 ms | CPU µs each | not 200 |\n|---|---|---|---|---|")
    for name, rows in figures.items():
        rate, p99, used, _ = np.median(rows, axis=0)
        errors = sum(row[3] for row in rows)
        print(f"| {name} | {rate:,.0f} | {p99:.1f} | {used:.0f} | {errors:.0f} |")


def ratio(figures: dict[str, list[tuple[float, ...]]], own: str, other: str, figure: int) -> float:
    pairs = zip(figures[own], figures[other], strict=True)
    return float(np.median([a[figure] / b[figure] for a, b in pairs]))


def main() -> bool:
    """Whether every goal is met."""
    version = published("ml-100k")
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        home = Path(folder)
        copy_version(version, home / "warehouse" / "models", 1)
        asked = list(dict.fromkeys(users(opened(home))))
        log = EventLog(home / "warehouse" / "events", home / "warehouse" / "sources")
        collector = Server([sys.executable, "-c", COLLECTOR], home)
        servers = {
            "collector": collector,
            "traced": ours(home, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}"),
            "ours": ours(home),
            "without": Server([sys.executable, "-c", WITHOUT], home),
            "fastapi": Server(
                [sys.executable, "-m", "bench.serving.fastapi_events", str(home), "{port}"], home
            ),
        }
        with running(*servers.values()):
            for who in ("ours", "traced", "without"):
                reload(servers[who].port, 1)
            _do_something(log, home, asked[:LATELY])
            few = measure(servers, asked)
            show("few users with events", few)
            _fill(log)
            reload(servers["ours"].port, 1)
            many = measure(servers, asked)
            show(f"{MANY:,} users with events", many)
    slower = max(
        float(np.median([row[2] for row in many[name]]) / np.median([row[2] for row in few[name]]))
        for name in ("one", "hundred", "GET", "GET lately")
    )
    return all(
        [
            goal(
                "events_over_one_a_transaction",
                ratio(few, "one", "one a transaction", 0),
                5,
                at_most=False,
            ),
            goal(
                "hundreds_over_one_a_transaction",
                ratio(few, "hundred", "one a transaction", 0),
                30,
                at_most=False,
            ),
            goal("events_p99_over_one_a_transaction", ratio(few, "one", "one a transaction", 1), 1),
            goal("get_cpu_over_without", ratio(few, "GET", "GET without", 2), 1.15),
            goal("get_lately_cpu_over_without", ratio(few, "GET lately", "GET without", 2), 3),
            goal("get_traced_cpu_over_untraced", ratio(few, "GET traced", "GET", 2), 1.1),
            goal("cpu_with_a_million_users", slower, 1.2),
        ]
    )


def _do_something(log: EventLog, home: Path, asked: list[str]) -> None:
    """Three ratings of each, of movies of the model."""
    bundle, now = opened(home).bundle, int(time.time())
    for user in asked:
        row = bundle.user_row(user) or 0
        seen = set(bundle.seen(row).tolist())
        new = [item for item in range(len(bundle.item_ids)) if item not in seen][:3]
        log.append(
            [Event.of(user, bundle.item_id(item), "rating", 4.5, timestamp=now) for item in new]
        )


def _fill(log: EventLog) -> None:
    now, size = int(time.time()), 10_000
    for start in range(0, MANY, size):
        log.append(
            [
                Event.of(f"of a million {number}", "movie 1", "rating", 4.0, timestamp=now)
                for number in range(start, start + size)
            ]
        )
    log.renew(())
