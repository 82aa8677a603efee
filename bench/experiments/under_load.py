"""An endpoint that carries out an experiment while processes are killed and versions reloaded."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.serving.client import reload
from bench.serving.endpoint import TOKEN, ours, running, tree
from bench.serving.published import copy_version, published
from movierec_serving.bundle import PublishedModel
from movierec_serving.bundle.experiment import INTERLEAVED, Arm, Experiment
from movierec_serving.events.shown import days_shown, read_shown

CALLERS, ASKED = 4, 200  # users that are asked for again and again
SHARES = {"production": 0.4, "popular": 0.2, "other": 0.4}
BOTH = {"production": 0.5, "popular": 0.5}  # interleaved


@dataclass(frozen=True)
class Seen:
    """What became of it; `lost` are answers that nothing was written down of."""

    kills: int
    reloads: int
    answers: int
    users: int
    lines: int
    changed: int
    lost: int
    twice: int
    redrafted: int  # users to whom one version gave two lists, though they did nothing


def disturbed(home: Path, *, kills: int, reloads: int, interleave: bool = False) -> Seen:
    source = published("ml-100k")
    for version in (1, 2, 3):
        copy_version(source, home / "warehouse" / "models", version)
    bundle = PublishedModel.open(home / "warehouse" / "models", 1).bundle
    users = [bundle.user_id(row) for row in range(ASKED)]
    shares = BOTH if interleave else SHARES
    arms = [Arm(name=name, version=3 if name == "other" else None) for name in shares]
    experiment = Experiment.of("bench", "salt of the bench", arms, shares, interleave)
    server, done = ours(home), threading.Event()
    arms_seen: dict[str, set[str]] = defaultdict(set)
    lists: dict[tuple[str, int], set[tuple[str, ...]]] = defaultdict(set)
    answered: list[str] = []

    def call(number: int) -> None:
        while not done.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
            with suppress(OSError, http.client.HTTPException):  # of the process that was killed
                for user in users[number::CALLERS]:
                    connection.request("GET", f"/recommend/{user}")
                    answer = json.loads(connection.getresponse().read())
                    arms_seen[user].add(answer["arm"])
                    movies = tuple(item["movie_id"] for item in answer["items"])
                    lists[user, answer["model_version"]].add(movies)
                    answered.append(answer["recommendation_id"])
            connection.close()

    with running(server):
        reload(server.port, 1)
        _put(server.port, experiment)
        with ThreadPoolExecutor(CALLERS) as pool:
            calls = [pool.submit(call, number) for number in range(CALLERS)]
            for turn in range(reloads):
                if turn < kills:
                    _kill_one(server.process.pid)
                _reload_in_the_end(server.port, 1 + (turn + 1) % 2)
            done.set()
            for call in calls:
                call.result()
    folder = home / "warehouse" / "shown"
    lines = Counter(
        line["recommendation_id"]
        for day in days_shown(folder)
        for _, shown, _ in read_shown(folder, day)
        for line in shown
    )
    expected = {user: experiment.arm_of(user) for user in users}
    named = {
        user: {INTERLEAVED if interleave else arm.name} if arm else set()
        for user, arm in expected.items()
    }
    return Seen(
        kills=kills,
        reloads=reloads,
        answers=len(answered),
        users=len(arms_seen),
        lines=lines.total(),
        changed=sum(arms_seen[user] != named[user] for user in users),
        lost=len(set(answered) - lines.keys()),
        twice=sum(count > 1 for count in lines.values()),
        redrafted=sum(len(given) > 1 for given in lists.values()),
    )


def _put(port: int, experiment: Experiment) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    body = experiment.model_dump_json(exclude={"format_version"})
    connection.request("PUT", "/experiment", body, headers)
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(answer.read().decode())
    connection.close()


def _kill_one(main: int) -> None:
    """One of the processes that answer GET."""
    # They are forks, so that their command is the main process'.
    command = tree(main)[main].command
    forks = [
        pid for pid, process in tree(main).items() if pid != main and process.command == command
    ]
    if forks:
        with suppress(ProcessLookupError):
            os.kill(max(forks), signal.SIGKILL)


def _reload_in_the_end(port: int, version: int) -> None:
    """A request may go to the process that is killed."""
    for _ in range(40):
        with suppress(OSError, http.client.HTTPException, ValueError):
            if reload(port, version)[0] == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"version {version} is not reloaded")
