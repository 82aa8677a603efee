"""Ten ways to break a running platform, and for each the steps of the runbook that mend it.

A break says how somebody on call comes to know of it (`told`, in a notice or an alert's title) and
where the runbook has the steps (`entry`). The steps are typed here as
they stand there; a test compares the commands.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from demo.gameday.site import ROOM, Site
from demo.processes import wait_until
from tests.support.generate import day_start, ratings_of_day

PATIENCE_S = 120.0
LEFT = 100_000  # bytes of a disk that is full


@dataclass(frozen=True)
class Break:
    """What is broken, by whom it is told, and what mends it.

    Attributes:
        told: what is waited for in what the webhook hears.
        entry: the heading in docs/how-to/runbook.md.
        commands: what the entry says to type; `mend` does so.
    """

    name: str
    told: str
    entry: str
    commands: tuple[str, ...]
    do: Callable[[Site], object]
    mend: Callable[[Site], object]


def kill_endpoint(site: Site) -> None:
    site.signal("movierec_serving", signal.SIGKILL)
    site.ended("up")


def start_again(site: Site) -> None:
    site.stop("up")
    site.up()


def move_mlflow_away(site: Site) -> None:
    shutil.move(site.warehouse / "mlflow.db", site.home / "mlflow.db.moved")


def lose_warehouse(site: Site) -> None:
    (site.warehouse / "movierec.duckdb").unlink()


def recover(site: Site) -> None:
    site.stop("up")
    _typed(site, "recover", "--apply")
    site.up()


def refuse_a_day(site: Site) -> None:
    day = site.deliver()
    site.deliver(day, [[user, movie, "9", at] for user, movie, _, at in ratings_of_day(day)])
    site.run("daily", days=(day,))


def correct_the_day(site: Site) -> None:
    day = site.deliver(site.landing.days()[-1])
    site.run("daily", days=(day,))


def fill_the_disk(site: Site) -> None:
    """Some versions are trained and served; then the disk is what is on it, and a day waits."""
    days = [site.deliver() for _ in range(4)]
    site.run("daily", days=tuple(days))
    wait_until(lambda: _current(site), "both endpoints serve the newest version", PATIENCE_S)
    # A run that ends lets go of what SQLite kept beside its files.
    wait_until(lambda: not site.api.unfinished_runs(), "all runs have ended", PATIENCE_S)
    site.deliver()
    _resize(site, f"{shutil.disk_usage(site.warehouse).used + LEFT}")


def make_room(site: Site) -> None:
    _typed(site, "prune", "--keep", "2", "--apply")
    _resize(site, ROOM)  # what was let go makes the day possible, not the days after it
    site.run("daily", days=(site.landing.days()[-1],))


def damage_a_version(site: Site) -> None:
    """The factors of the version before change on the disk; then somebody pins it."""
    files = (site.warehouse / "bundles").rglob("item_factors.npy")
    newest = sorted(files, key=lambda file: file.stat().st_mtime)
    with newest[-2].open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"\xff" * 8)  # in MLflow's artifacts, too: it is one file
    site.production("pin", (site.served() or 0) - 1)


def train_again(site: Site) -> None:
    """What the notice says, which names the asset and the day."""
    named = re.search(r"materialize (\w+) of ([0-9-]+) again", "".join(site.heard))
    assert named is not None
    site.run("daily", named[1], days=(named[2],))
    wait_until(lambda: site.served() == site.pinned, "what was pinned is served", PATIENCE_S)
    unpin(site)


def start_with_another_token(site: Site) -> None:
    site.stop("B")
    site.start_b(token="of-another-home")  # noqa: S106 - a wrong one
    day = site.deliver()
    site.run("daily", days=(day,))


def start_with_the_same_token(site: Site) -> None:
    site.stop("B")
    site.start_b()


def freeze_the_daemon(site: Site) -> None:
    site.signal("dagster-daemon", signal.SIGSTOP)


def pin_an_old_version(site: Site) -> None:
    site.production("pin", 1)
    site.run("daily", days=(site.deliver(),))


def unpin(site: Site) -> None:
    site.production("unpin", site.pinned)


def lose_lists_of_an_arm(site: Site) -> None:
    """An experiment of halves, of whose second arm the application shows every fourth list."""
    day = site.deliver()
    shares = {"production": 0.5, "popular": 0.5}
    site.run(
        "start_experiment", op="start", name="lists", shares=shares, day=day, reason="game day"
    )
    folder = site.warehouse / "shown" / day
    folder.mkdir(parents=True)
    arms = [arm for number in range(100) for arm in ("production", "popular")[: 2 - number % 4 % 2]]
    lines = [
        {
            "recommendation_id": f"4-{number}",
            "user_id": f"u{number}",
            "at": day_start(day) + number,
            "ms": 0.3,
            "version": 4,
            "arm": arm,
            "source": "als",
            "movies": ["m1"],
        }
        for number, arm in enumerate(arms)
    ]
    (folder / "1-0.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    site.run("daily", days=(day,))


def stop_the_experiment(site: Site) -> None:
    site.run("stop_experiment", op="stop", reason="its application lost lists")


def _typed(site: Site, *arguments: str) -> None:
    code, said = site.movierec(*arguments)
    if code:
        raise RuntimeError(f"movierec {' '.join(arguments)}: {said}")


def _resize(site: Site, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", site.warehouse], check=True)


def _current(site: Site) -> bool:
    return site.served("A") == site.served("B") == len(site.landing.days())


RECOVER = ("movierec recover", "movierec recover --apply", "movierec up")
BREAKS = (
    Break(
        "the endpoint is killed",
        "now: EndpointDown",
        "EndpointDown",
        ("movierec up",),
        kill_endpoint,
        start_again,
    ),
    Break(
        "mlflow.db is moved away",
        "now: SourceUnreadable",
        "SomethingLost",
        RECOVER,
        move_mlflow_away,
        recover,
    ),
    Break(
        "a day is delivered with stars of 9",
        "now: DaysRefused",
        "DaysRefused",
        (),
        refuse_a_day,
        correct_the_day,
    ),
    Break(
        "the warehouse's disk is full",
        "now: DiskFull",
        "DiskFull",
        ("movierec prune --apply",),
        fill_the_disk,
        make_room,
    ),
    Break(
        "a version that is damaged on the disk is pinned",
        "the bundle is damaged",
        "RunsFail",
        (),
        damage_a_version,
        train_again,
    ),
    Break(
        "an endpoint was started with another token",
        "now: DeployNotConverging",
        "DeployNotConverging",
        (),
        start_with_another_token,
        start_with_the_same_token,
    ),
    Break(
        "movierec.duckdb is removed",
        "now: SomethingLost",
        "SomethingLost",
        RECOVER,
        lose_warehouse,
        recover,
    ),
    Break(
        "the daemon hangs",
        "now: DaemonSilent",
        "DaemonSilent",
        ("movierec up",),
        freeze_the_daemon,
        start_again,
    ),
    Break(
        "production is pinned and days go by",
        "now: ProductionStale",
        "ProductionStale",
        (),
        pin_an_old_version,
        unpin,
    ),
    Break(
        "the application shows half the lists of an arm",
        "now: SampleRatioMismatch",
        "SampleRatioMismatch",
        (),
        lose_lists_of_an_arm,
        stop_the_experiment,
    ),
)
