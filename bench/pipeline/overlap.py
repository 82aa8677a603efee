"""Backfills that overlap, the schedule, clicks and a DuckDB shell, all at once: `python -m bench
overlap`.

Through a real webserver, daemon, run workers and endpoint, asked as the UI asks; then compared with
a home in which the same was done one after the other.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import secrets
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import httpx

from bench.chaos.invariants import violations
from bench.chaos.jobs import environment
from bench.goals import goal
from bench.pipeline.overlapping import DAYS, DEADLINE_S, EARLIER, LATER, MIDDLE, Overlap
from bench.pipeline.platform import ASSETS, in_its_own, started
from demo.processes import free_port, running, wait_until
from movierec_assets.cli.processes import commands
from movierec_assets.definitions import assemble
from movierec_assets.partitions import RANGE_END, RANGE_START
from movierec_assets.platform import wired
from movierec_assets.settings import settings
from movierec_serving.bundle import Bundle
from tests.support.generate import as_csv, catalogue, ratings_of_day

SHELL_S = 10
LOCKED = re.compile(
    "database is locked|IOException|IO Error|Could not set lock|WarehouseHeldError|OperationalError"
)
NOTICE = "waiting for the warehouse:"  # the product's own line, which names who holds the file
Facts = dict[str, Any]


def main() -> bool:
    """Do both, print what they left; whether nothing differs and nobody was told of a lock."""
    port = free_port()
    endpoint = {
        "MOVIEREC_ENDPOINTS": f"http://127.0.0.1:{port}",
        "MOVIEREC_RELOAD_TOKEN": secrets.token_hex(),
    }
    with ThreadPoolExecutor() as threads:
        reference = threads.submit(_home, "one_by_one")
        at_once, one_by_one = _home("at_once", **endpoint), reference.result()
    print("| run | asked after, s | began, s | ended, s | outcome |\n|---|---|---|---|---|")
    for row in at_once["runs"]:
        print(f"| {' | '.join(map(str, row))} |")
    print(f"\nshells held the file from {'; '.join(at_once['shells'])}")
    print(f"the platform said who holds it {at_once['notices']} times\n")
    print("| | one after the other | at once | the same |\n|---|---|---|---|")
    parts = {
        "days": "rows",
        "chunks": "chunks",
        "models of days": "models",
        "bundles, byte by byte": "bundles",
        "versions": "versions",
        "verdicts": "verdicts",
        "evaluations": "scores",
    }
    same = {name: one_by_one[key] == at_once[key] for name, key in parts.items()}
    for name, key in parts.items():
        print(f"| {name} | {len(one_by_one[key])} | {len(at_once[key])} | {same[name]} |")
    produced = [facts["production"] for facts in (one_by_one, at_once)]
    print(
        f"| production's data until | {produced[0][0]} | {produced[1][0]} | "
        f"{produced[0] == produced[1]} |"
    )
    moves = [
        " ".join(f"{version}" for version, *_ in facts["moves"]) for facts in (one_by_one, at_once)
    ]
    print(f"| production was version | {moves[0]} | {moves[1]} | |\n")
    for name in ("unexplained", "complaints", "violations"):
        for text in at_once[name]:
            print(f"{name}: {text}")
    twice = len(at_once["versions"]) - len({identity for identity, *_ in at_once["versions"]})
    return all(
        [
            goal(
                "overlap, what differs from one after the other",
                list(same.values()).count(False),
                0,
                digits=0,
            ),
            goal(
                "overlap, runs failed for another reason than named days that come first",
                len(at_once["unexplained"]),
                0,
                digits=0,
            ),
            goal("overlap, runs not well after one relaunch", at_once["unmended"], 0, digits=0),
            goal("overlap, messages of a locked database", len(at_once["complaints"]), 0, digits=0),
            goal("overlap, two versions of one identity", twice, 0, digits=0),
            goal("overlap, production is older", int(produced[1][0] < produced[0][0]), 0, digits=0),
            goal(
                "overlap, moves of production backwards or not reported",
                _disorder(at_once),
                0,
                digits=0,
            ),
            goal("overlap, other invariants violated", len(at_once["violations"]), 0, digits=0),
        ]
    )


def _home(part: str, **extra: str) -> Facts:
    """One part in a fresh home and a fresh process; what it left."""
    with tempfile.TemporaryDirectory(prefix="movierec-overlap-") as folder:
        home = Path(folder)
        partitions = {"MOVIEREC_PARTITION_START": DAYS[0], "MOVIEREC_PARTITION_END": DAYS[-1]}
        variables = {"MOVIEREC_ENDPOINTS": "", **partitions, **extra}
        facts: Facts = json.loads(
            in_its_own(home, "bench.pipeline.overlap", part, **{**environment(home), **variables})
        )
        return facts


def _disorder(facts: Facts) -> int:
    """Events of `production_model` that go back in time or do not begin where the one before
    ended.
    """
    moves = facts["moves"]
    wrong = sum(
        later[1] != earlier[0] or later[2] < earlier[2] for earlier, later in pairwise(moves)
    )
    return wrong + (moves[-1][2] != facts["production"][0]) + (facts["aliases"] != ["production"])


def deliver() -> None:
    landing = wired().landing_zone
    landing.deliver_movies(catalogue())
    for day in DAYS:
        landing.deliver(day, as_csv(ratings_of_day(day)))
    _run("catalogue")


def _run(job: str, days: tuple[str, str] | None = None, assets: tuple[str, ...] = ()) -> None:
    with dg.DagsterInstance.get() as instance:
        assemble(wired()).resolve_job_def(job).execute_in_process(
            instance=instance,
            tags={RANGE_START: days[0], RANGE_END: days[1]} if days else {},
            asset_selection=[dg.AssetKey(asset) for asset in assets] or None,
        )


def one_by_one() -> Facts:
    """The same runs, each after the one before."""
    deliver()
    for days in (EARLIER, LATER, (DAYS[-1], DAYS[-1])):
        _run("daily", days)
    _run("daily", (MIDDLE, MIDDLE), ASSETS)
    _run("daily", (DAYS[-1], DAYS[-1]), ASSETS[2:])
    with dg.DagsterInstance.get() as instance:
        return left(instance)


def at_once() -> Facts:
    """Everything at once through the daemon, two shells in between; then one relaunch of what
    failed.
    """
    deliver()
    home, (url,) = Path.cwd(), settings().endpoints
    endpoint = commands(0, int(url.rpartition(":")[2]), 0, "")["endpoint"]
    with running("endpoint", endpoint, home / "endpoint.log", {}, home), started() as platform:
        overlap = Overlap(platform)
        overlap.ask()
        with overlap.shell():
            wait_until(overlap.backfills_queued, "both backfills are queued", DEADLINE_S)
        with overlap.shell("dagster/backfill"):
            overlap.click()
            time.sleep(SHELL_S)
        overlap.wait()
        failed = overlap.failed()
        unexplained = [why for run in failed for why in overlap.unexplained(run)]
        overlap.relaunch(failed)
        registry = wired().model_registry
        wait_until(
            lambda: httpx.get(f"{url}/model").json()["version"] == registry.production().number,
            "the endpoint serves production",
            DEADLINE_S,
        )
        overlap.wait()
        unmended = [run for run in overlap.failed() if run not in failed]
        return {
            **left(platform.instance),
            "runs": overlap.rows(),
            "shells": overlap.shells,
            "unexplained": unexplained,
            "unmended": len(unmended),
            "complaints": complaints(platform.instance),
            "notices": notices(),
            "violations": violations(wired(), platform.instance),
        }


def left(instance: dg.DagsterInstance) -> Facts:
    """What a home holds in the end."""
    adapters = wired()
    warehouse, registry, store = (
        adapters[name] for name in ("warehouse", "model_registry", "bundle_store")
    )
    rows = {}
    with warehouse.connect(read_only=True) as connection:
        for day in DAYS:
            rows[day] = [
                connection.execute(
                    f"SELECT count(*), bit_xor(hash(t)) FROM {table} t WHERE day = ?", [day]
                ).fetchone()
                for table in ("raw_ratings", "validated_ratings", "rejected_ratings")
            ]
    models = list(warehouse.models().values())
    paths = [
        path
        for model in models
        for path in (store.served(model.identity), store.twin(model.identity))
    ]
    files = [
        (path.name, name, file.sha256)
        for path in paths
        for name, file in Bundle.open(path).manifest.files.items()
    ]
    versions, production = registry.versions(), registry.production()
    events = instance.fetch_materializations(
        dg.AssetKey("production_model"), limit=1000, ascending=True
    ).records
    metadata = [
        event.asset_materialization.metadata for event in events if event.asset_materialization
    ]
    return {
        "rows": rows,
        "chunks": sorted(repr(chunk) for some in warehouse.chunks().values() for chunk in some),
        "models": [dataclasses.astuple(model) for model in models],
        "bundles": sorted(files),
        "versions": sorted((version.identity, version.data_until) for version in versions),
        "verdicts": sorted((version.identity, version.gate) for version in versions),
        "scores": [dataclasses.astuple(score) for score in warehouse.scores(DAYS[-1])],
        "production": (production.data_until, production.identity),
        "aliases": sorted(registry.client().get_registered_model("movierec").aliases),
        "moves": [
            [entry[name].value for name in ("version", "from", "data until")] for entry in metadata
        ],
    }


def complaints(instance: dg.DagsterInstance) -> list[str]:
    """Where a locked database is spoken of: in events, in output of runs, daemon, webserver,
    endpoint, and in ticks.
    """
    locked = {
        f"{name}: {line}" for name, line in _lines() if LOCKED.search(line) and NOTICE not in line
    }
    for run in instance.get_runs():
        texts = [str(entry) for entry in instance.all_logs(run.run_id)]
        locked |= {f"event of {run.job_name}: {text}" for text in texts if LOCKED.search(text)}
    for state in instance.all_instigator_state():
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id)
        locked |= {f"tick of {state.name}: {tick.error}" for tick in ticks if tick.error}
    return sorted(text[:1000] for text in locked)


def notices() -> int:
    """How often the platform said in a log who holds the file."""
    return sum(NOTICE in line for _, line in _lines())


def _lines() -> list[tuple[str, str]]:
    home = Path.cwd()
    files = [
        *home.glob("*.log"),
        *(home / "warehouse" / "dagster").glob("storage/**/compute_logs/*"),
    ]
    return [
        (file.name, line)
        for file in files
        for line in file.read_text(errors="replace").splitlines()
    ]


PARTS = {"one_by_one": one_by_one, "at_once": at_once}

if __name__ == "__main__":
    logging.disable(logging.INFO)
    print(json.dumps(PARTS[sys.argv[1]](), default=str))
