"""Make the home that upgrades are tried on, in a checkout of 0.2.0: README.md beside this says how.

All is done by 0.2.0: its set-up, its jobs in this process, its endpoint. What upgrades must keep is
written as JSON to the file that is named on the command line.
"""

# ruff: noqa: I001 - the modules imported are those of 0.2.0
from __future__ import annotations

import hashlib
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import httpx

from bench.processes import free_port, running, wait_until
from bench.stream import served_at
from movierec_assets.commands.processes import commands
from movierec_assets.commands.setup import set_up
from movierec_assets.definitions import resources
from movierec_assets.partitions import RANGE_END, RANGE_START
from movierec_assets.settings import settings
from tests.generate import as_csv, catalogue, day_start, days_from, ratings_of_day

HOME = Path.cwd()
DAYS = days_from("1998-03-28", 6)
SUPERSEDED, LATE, REFUSED, EMPTY, REJECTED, DELIVERED_TWICE = DAYS  # what each day is to show
BLOCKED = "m1"


def chunk(day: str, seed: int = 0) -> bytes:
    """A day's generated ratings, spoilt as its name says."""
    rows = ratings_of_day(day, seed=seed)
    if day == SUPERSEDED:  # two ratings are given again later on the day
        rows += [[*row[:2], "3", str(day_start(day) + 86_399)] for row in rows[:2]]
    elif day == LATE:  # three were given the day before
        rows[:3] = [[*row[:3], str(int(row[3]) - 86_400)] for row in rows[:3]]
    elif day == REFUSED:  # a fifth of the rows have 7 stars
        rows[::5] = [[*row[:2], "7", row[3]] for row in rows[::5]]
    elif day == REJECTED:  # four rows have no user, too few to refuse the day
        rows[:4] = [["", *row[1:]] for row in rows[:4]]
    return as_csv([] if day == EMPTY else rows)


def run(job: str, *days: str, **config: Any) -> None:
    """One run of a job of 0.2.0, over the range of days if there are any."""
    tags = {RANGE_START: days[0], RANGE_END: days[-1]} if days else {}
    ops = {"ops": {op: {"config": value} for op, value in config.items()}}
    with dg.DagsterInstance.get() as instance:
        named = dg.build_reconstructable_job(
            "tests.jobs", "job_named", (job, len(instance.get_runs()))
        )
        assert dg.execute_job(named, instance, tags=tags, run_config=ops).success, job


def live(url: str, landing: Any) -> None:
    """Six days, a day delivered again, a search, a version revoked, one pinned, a movie blocked."""
    run("catalogue")
    run("daily", DAYS[0], DAYS[4])
    run("deploy")
    run("daily", DELIVERED_TWICE)
    landing.deliver(DELIVERED_TWICE, chunk(DELIVERED_TWICE, seed=1))
    run("daily", DELIVERED_TWICE)
    run("tuning", tuned_parameters={"trials": 9})
    run("deploy")
    revoke = {"action": "revoke", "version": 4, "reason": "its file was wrong"}
    pin = {"action": "pin", "version": 3, "reason": "complaints about 6"}
    for change in (revoke, pin):
        run("set_production", change_production=change)
    run("deploy")
    token = {"Authorization": f"Bearer {settings().reload_token.get_secret_value()}"}
    httpx.put(f"{url}/blocklist/{BLOCKED}", headers=token).raise_for_status()


def make() -> dict[str, Any]:
    """The home, and the facts about it."""
    set_up(HOME)
    port = free_port()
    url = os.environ["MOVIEREC_ENDPOINTS"] = f"http://127.0.0.1:{port}"
    settings.cache_clear()
    adapters = resources(settings())
    landing = adapters["landing_zone"]
    landing.deliver_movies(catalogue())
    for day in DAYS:
        landing.deliver(day, chunk(day))
    command = commands(0, port, 0, settings().tracking_uri)["endpoint"]
    with running("endpoint", command, HOME / "endpoint.log", {}, HOME) as process:
        wait_until(lambda: _lives(url), "the endpoint lives", 120, process)
        live(url, landing)
        served = wait_until(lambda: served_at(url), "the endpoint serves", 60, process)
        answers = {user: _answer(url, user) for user in ("u1", "u2", "nobody")}
    for file in settings().warehouse.glob(f"models/.serving-{port}*"):  # as at the default port
        file.rename(file.with_name(file.name.replace(str(port), "8000")))
    lines = (HOME / ".env").read_text().splitlines(keepends=True)
    (HOME / ".env").write_text("".join(line for line in lines if "TOKEN" not in line))
    token = settings().reload_token.get_secret_value().encode()
    files = [HOME / ".env", *(file for file in settings().warehouse.rglob("*") if file.is_file())]
    assert not any(token in file.read_bytes() for file in files), "a secret in the home"
    found = {"made_by": "0.2.0", "made_at": str(HOME), "served": served, "blocked": [BLOCKED]}
    return {**found, "answers": answers, **_kept(adapters), **_recorded()}


def _lives(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live").is_success
    except httpx.TransportError:
        return False


def _answer(url: str, user: str) -> dict[str, Any]:
    answer = httpx.get(f"{url}/recommend/{user}", params={"n": 5}).raise_for_status().json()
    return {"source": answer["source"], "movies": [one["movie_id"] for one in answer["items"]]}


def _kept(adapters: dict[str, Any]) -> dict[str, Any]:
    """What the warehouse, the registry and the stores hold."""
    warehouse, registry = adapters["warehouse"], adapters["model_registry"]
    with warehouse.connect(read_only=True) as connection:
        tables = [name for (name,) in connection.execute("SHOW TABLES").fetchall()]
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in tables
        }
        tuned = connection.execute("SELECT identity, version, verdict FROM tuned_parameters")
        searches = tuned.fetchall()
    root = settings().warehouse
    return {
        "tables": counts,
        "chunks": {day: [vars(one) for one in found] for day, found in warehouse.chunks().items()},
        "models": {day: vars(one) for day, one in warehouse.models().items()},
        "tuned_parameters": searches,
        "versions": {
            one.number: {"identity": one.identity, "data_until": one.data_until, **one.tags}
            for one in registry.versions()
        },
        "production": registry.production().number,
        "published": sorted(int(one.name) for one in root.glob("models/[0-9]*")),
        "sha256": {
            str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted([*root.glob("bundles/*/*.npy"), *root.glob("twins/*/*.npy")])
        },
    }


def _recorded() -> dict[str, Any]:
    """What Dagster has recorded."""
    with dg.DagsterInstance.get() as instance:
        events = {
            key.to_user_string(): instance.fetch_materializations(key, limit=1000).records
            for key in instance.all_asset_keys()
        }
        runs = Counter(f"{one.job_name} {one.status.value}" for one in instance.get_runs())
    moves = [one.asset_materialization.metadata for one in reversed(events["production_model"])]
    return {
        "runs": runs,
        "materializations": {asset: len(records) for asset, records in events.items()},
        "production_moves": [{key: value.value for key, value in one.items()} for one in moves],
    }


if __name__ == "__main__":
    facts = json.dumps(make(), indent=1, sort_keys=True, default=str, ensure_ascii=False)
    Path(sys.argv[1]).write_text(facts + "\n")
