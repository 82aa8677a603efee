"""Backfills that overlap, the schedule, clicks and a DuckDB shell, all at once: `python -m bench overlap`.

Through a real webserver, daemon, run workers and endpoint, asked as the UI asks; then compared with a home in which
the same was done one after the other.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import secrets
import subprocess
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
from bench.platform import ASSETS, Platform, in_its_own, started
from bench.processes import free_port, running, wait_until
from movierec_assets.commands.processes import commands
from movierec_assets.definitions import assemble, resources
from movierec_assets.defs.deployment import UNFINISHED
from movierec_assets.partitions import RANGE_END, RANGE_START
from movierec_assets.settings import settings
from movierec_serving.bundle import Bundle
from tests.generate import as_csv, catalogue, days_from, ratings_of_day

DAYS = days_from("1998-03-27", 10)  # over the end of a month
EARLIER, LATER = (DAYS[0], DAYS[6]), (DAYS[3], DAYS[-1])
MIDDLE = DAYS[4]
DAILY = (*ASSETS, "prequential_evaluation")
HALVES = (ASSETS[:2], ASSETS[2:])
SHELL_S = 10
DEADLINE_S = 240.0
LOCKED = re.compile(
    "database is locked|IOException|IO Error|Could not set lock|WarehouseHeld|OperationalError"
)
EXPLAINED = re.compile("delivered days without a verdict|earlier days without a model|not done by ")
NOTICE = "waiting for the warehouse:"  # the product's own line, which names who holds the file
# What a person does in a terminal: tries until nobody else has the file, looks around, forgets it for a while.
SHELL = """
import sys, time, duckdb
while True:
    try:
        shell = duckdb.connect(sys.argv[1])
        break
    except duckdb.IOException:
        time.sleep(0.005)
print(time.time(), flush=True)
shell.execute("SELECT count(*) FROM chunks").fetchall()
time.sleep(float(sys.argv[2]))
"""
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
    print(f"\nshells held the file at {', '.join(at_once['shells'])}")
    print(f"the platform said who holds it {at_once['notices']} times\n")
    print("| | one after the other | at once | the same |\n|---|---|---|---|")
    parts = {
        "days": "rows", "chunks": "chunks", "models of days": "models", "bundles, byte by byte": "bundles",
        "versions": "versions", "verdicts": "verdicts", "evaluations": "scores",
    }  # fmt: skip
    same = {name: one_by_one[key] == at_once[key] for name, key in parts.items()}
    for name, key in parts.items():
        print(f"| {name} | {len(one_by_one[key])} | {len(at_once[key])} | {same[name]} |")
    produced = [one["production"] for one in (one_by_one, at_once)]
    print(f"| production's data until | {produced[0][0]} | {produced[1][0]} | {produced[0] == produced[1]} |")
    moves = [" ".join(f"{version}" for version, *_ in one["moves"]) for one in (one_by_one, at_once)]
    print(f"| production was version | {moves[0]} | {moves[1]} | |\n")
    for name in ("unexplained", "complaints", "violations"):
        for text in at_once[name]:
            print(f"{name}: {text}")
    twice = len(at_once["versions"]) - len({identity for identity, *_ in at_once["versions"]})
    return all(
        [
            goal("overlap, what differs from one after the other", list(same.values()).count(False), 0, digits=0),
            goal("overlap, runs failed for another reason than days without a verdict",
                 len(at_once["unexplained"]), 0, digits=0),
            goal("overlap, runs not well after one relaunch", at_once["unmended"], 0, digits=0),
            goal("overlap, messages of a locked database", len(at_once["complaints"]), 0, digits=0),
            goal("overlap, two versions of one identity", twice, 0, digits=0),
            goal("overlap, production is older", int(produced[1][0] < produced[0][0]), 0, digits=0),
            goal("overlap, moves of production backwards or not reported", _disorder(at_once), 0, digits=0),
            goal("overlap, other invariants violated", len(at_once["violations"]), 0, digits=0),
        ]
    )  # fmt: skip


def _home(part: str, **extra: str) -> Facts:
    """One part in a fresh home and a fresh process; what it left."""
    with tempfile.TemporaryDirectory(prefix="movierec-overlap-") as folder:
        home = Path(folder)
        partitions = {"MOVIEREC_PARTITION_START": DAYS[0], "MOVIEREC_PARTITION_END": DAYS[-1]}
        chosen = {"MOVIEREC_ENDPOINTS": "", **partitions, **extra}
        found: Facts = json.loads(in_its_own(home, "bench.overlap", part, **{**environment(home), **chosen}))
        return found


def _disorder(found: Facts) -> int:
    """Events of `production_model` that go back in time or do not begin where the one before ended."""
    moves = found["moves"]
    wrong = sum(later[1] != earlier[0] or later[2] < earlier[2] for earlier, later in pairwise(moves))
    return wrong + (moves[-1][2] != found["production"][0]) + (found["aliases"] != ["production"])


def deliver() -> None:
    landing = resources(settings())["landing_zone"]
    landing.deliver_movies(catalogue())
    for day in DAYS:
        landing.deliver(day, as_csv(ratings_of_day(day)))
    _run("catalogue")


def _run(job: str, days: tuple[str, str] | None = None, assets: tuple[str, ...] = ()) -> None:
    with dg.DagsterInstance.get() as instance:
        assemble(settings()).resolve_job_def(job).execute_in_process(
            instance=instance, tags={RANGE_START: days[0], RANGE_END: days[1]} if days else {},
            asset_selection=[dg.AssetKey(one) for one in assets] or None,
        )  # fmt: skip


def one_by_one() -> Facts:
    """The same runs, each after the one before."""
    deliver()
    for days in (EARLIER, LATER, (DAYS[-1], DAYS[-1])):
        _run("daily", days)
    for assets in HALVES:
        _run("daily", (MIDDLE, MIDDLE), assets)
    with dg.DagsterInstance.get() as instance:
        return left(instance)


def at_once() -> Facts:
    """Everything at once through the daemon, two shells in between; then one relaunch of what failed."""
    deliver()
    home, (url,) = Path.cwd(), settings().endpoints
    endpoint = commands(0, int(url.rpartition(":")[2]), 0, "")["endpoint"]
    with running("endpoint", endpoint, home / "endpoint.log", {}, home), started() as platform:
        found = Overlap(platform)
        found.ask()
        found.shell("a run")
        found.click()
        found.shell("a backfill's run")
        found.wait()
        failed = found.failed()
        unexplained = [why for run in failed for why in found.unexplained(run)]
        found.relaunch(failed)
        registry = resources(settings())["model_registry"]
        wait_until(lambda: httpx.get(f"{url}/model").json()["version"] == registry.production().number,
                   "the endpoint serves production", DEADLINE_S)  # fmt: skip
        found.wait()
        unmended = [run for run in found.failed() if run not in failed]
        return {
            **left(platform.instance), "runs": found.rows(), "shells": found.shells, "unexplained": unexplained,
            "unmended": len(unmended), "complaints": complaints(platform.instance), "notices": notices(),
            "violations": violations(resources(settings()), platform.instance),
        }  # fmt: skip


class Overlap:
    """What is done at once; each run has a name."""

    def __init__(self, platform: Platform) -> None:
        self.platform, self.instance, self.began = platform, platform.instance, time.time()
        self.names: dict[str, str] = {}  # by the id of a backfill or of a run
        self.shells: list[str] = []

    def ask(self) -> None:
        """Two backfills, and the schedule's run of the last day."""
        api = self.platform.api
        for name, days in (("backfill", EARLIER), ("backfill", LATER)):
            self.names[api.launch_backfill(" to ".join(days), dict.fromkeys(DAILY, days))] = (
                f"{name} {_of(days)}"
            )
        schedule = {"dagster/schedule_name": "every_day", "dagster/partition": DAYS[-1]}
        self.names[api.launch_job("daily", schedule)] = f"schedule {DAYS[-1][5:]}"

    def click(self) -> None:
        """Two clicks on assets of a day in the middle, once a backfill's run is under way."""
        wait_until(lambda: self._started("dagster/backfill"), "a backfill's run is under way", DEADLINE_S)
        for assets in HALVES:
            run = self.platform.api.launch_job("__ASSET_JOB", {"dagster/partition": MIDDLE}, assets)
            self.names[run] = f"click {MIDDLE[5:]}: {', '.join(assets)}"

    def shell(self, during: str) -> None:
        """Hold the file open as somebody at a terminal does, once a run is under way."""
        wait_until(self._started, f"{during} is under way", DEADLINE_S)
        path = resources(settings())["warehouse"].path
        with subprocess.Popen(
            [sys.executable, "-c", SHELL, path, str(SHELL_S)], stdout=subprocess.PIPE, text=True
        ) as shell:
            assert shell.stdout is not None
            since = float(shell.stdout.readline()) - self.began
            held = [self._name(one) for one in self._started()]
        self.shells.append(f"{since:.0f} s for {SHELL_S} s, during {'; '.join(held) or 'nothing'}")

    def wait(self) -> None:
        """Until every backfill and run has ended."""
        backfills = [one for one in self.names if self.instance.get_run_by_id(one) is None]

        def ended() -> bool:
            states = [self.platform.api.backfill(one)["status"] for one in backfills]
            return "REQUESTED" not in states and not self.instance.get_runs(
                dg.RunsFilter(statuses=UNFINISHED)
            )

        wait_until(ended, "every run has ended", DEADLINE_S)

    def failed(self) -> list[dg.DagsterRun]:
        """Runs that did not succeed, oldest first, deployments too."""
        records = self.instance.get_run_records(ascending=True)
        return [
            one.dagster_run
            for one in records
            if one.dagster_run.is_finished and not one.dagster_run.is_success
        ]

    def unexplained(self, run: dg.DagsterRun) -> list[str]:
        """What a run failed with beside the names of days without a verdict."""
        events = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        data = [one.get_dagster_event().step_failure_data for one in events]
        told = [
            str((one.user_failure_data and one.user_failure_data.description) or one.error) for one in data
        ]
        others = [one for one in told if not EXPLAINED.search(one)]
        return [f"{self._name(run)}: {one}" for one in others or ([] if told else ["no cause is given"])]

    def relaunch(self, failed: list[dg.DagsterRun]) -> None:
        for run in failed:
            self.names[self.platform.api.relaunch(run.run_id)] = f"{self._name(run)}, relaunched"
        self.wait()

    def rows(self) -> list[tuple[str, ...]]:
        """(name, asked, began, ended, outcome) of each run, times since all were asked for."""
        return [
            (
                self._name(one.dagster_run), f"{one.create_timestamp.timestamp() - self.began:.0f}",
                f"{(one.start_time or 0) - self.began:.0f}", f"{(one.end_time or 0) - self.began:.0f}",
                one.dagster_run.status.value.lower(),
            )
            for one in self.instance.get_run_records(ascending=True)
            if (one.create_timestamp.timestamp() > self.began)
        ]  # fmt: skip

    def _started(self, tag: str = "") -> list[dg.DagsterRun]:
        runs = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        return [one for one in runs if not tag or tag in one.tags]

    def _name(self, run: dg.DagsterRun) -> str:
        return (
            self.names.get(run.run_id) or self.names.get(run.tags.get("dagster/backfill", "")) or run.job_name
        )


def left(instance: dg.DagsterInstance) -> Facts:
    """What a home holds in the end."""
    adapters = resources(settings())
    warehouse, registry, store = (adapters[name] for name in ("warehouse", "model_registry", "bundle_store"))
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
    paths = [path for one in models for path in (store.served(one.identity), store.twin(one.identity))]
    files = [
        (path.name, name, one.sha256)
        for path in paths
        for name, one in Bundle.open(path).manifest.files.items()
    ]
    versions, production = registry.versions(), registry.production()
    events = instance.fetch_materializations(
        dg.AssetKey("production_model"), limit=1000, ascending=True
    ).records
    metadata = [one.asset_materialization.metadata for one in events if one.asset_materialization]
    return {
        "rows": rows, "chunks": sorted(repr(one) for some in warehouse.chunks().values() for one in some),
        "models": [dataclasses.astuple(one) for one in models], "bundles": sorted(files),
        "versions": sorted((one.identity, one.data_until) for one in versions),
        "verdicts": sorted((one.identity, one.gate) for one in versions),
        "scores": [dataclasses.astuple(one) for one in warehouse.scores(DAYS[-1])],
        "production": (production.data_until, production.identity),
        "aliases": sorted(registry.client().get_registered_model("movierec").aliases),
        "moves": [[one[name].value for name in ("version", "from", "data until")] for one in metadata],
    }  # fmt: skip


def complaints(instance: dg.DagsterInstance) -> list[str]:
    """Where a locked database is spoken of: in events, in output of runs, daemon, webserver, endpoint, and in ticks."""
    found = {f"{name}: {line}" for name, line in _lines() if LOCKED.search(line) and NOTICE not in line}
    for run in instance.get_runs():
        texts = [str(entry) for entry in instance.all_logs(run.run_id)]
        found |= {f"event of {run.job_name}: {text}" for text in texts if LOCKED.search(text)}
    for state in instance.all_instigator_state():
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id)
        found |= {f"tick of {state.name}: {tick.error}" for tick in ticks if tick.error}
    return sorted(text[:1000] for text in found)


def notices() -> int:
    """How often the platform said in a log who holds the file."""
    return sum(NOTICE in line for _, line in _lines())


def _lines() -> list[tuple[str, str]]:
    home = Path.cwd()
    files = [*home.glob("*.log"), *(home / "warehouse" / "dagster").glob("storage/**/compute_logs/*")]
    return [(one.name, line) for one in files for line in one.read_text(errors="replace").splitlines()]


def _of(days: tuple[str, str]) -> str:
    return f"{days[0][5:]} to {days[1][5:]}"


PARTS = {"one_by_one": one_by_one, "at_once": at_once}

if __name__ == "__main__":
    logging.disable(logging.INFO)
    print(json.dumps(PARTS[sys.argv[1]](), default=str))
