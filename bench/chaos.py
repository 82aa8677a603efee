"""kill -9 at random moments of real runs, relaunched until done: `python -m bench chaos`.

CHAOS_SEED gives the seed (printed in any case), CHAOS_ROUNDS the number of rounds, each in a fresh folder. A round
kills a run of all assets over six days several times, each time at a random moment of its work, relaunches it,
and then compares everything with a run that was left alone.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import dagster as dg

from bench.goals import goal
from movierec_assets.definitions import resources
from movierec_assets.evaluation.gate import desired_production
from movierec_assets.resources.model_registry import EXPERIMENT
from movierec_assets.settings import Settings
from movierec_serving.bundle import Bundle, BundleError
from tests.generate import as_csv, catalogue, days_from, ratings_of_day

ROOT = Path(__file__).parents[1]
DAYS = days_from("1998-03-28", 6)  # over the end of a month
KILLS = 3  # in a round
RUN = """
import sys
import dagster as dg
import implicit.als, mlflow.pyfunc
from movierec_assets.definitions import assemble
from movierec_assets.partitions import RANGE_END, RANGE_START
from movierec_assets.settings import settings
with dg.DagsterInstance.get() as instance:
    job = assemble(settings()).resolve_job_def("daily")
    print("ready", flush=True)
    job.execute_in_process(instance=instance, tags={RANGE_START: sys.argv[1], RANGE_END: sys.argv[2]})
"""


def main() -> bool:
    """Print each round and the violations; whether there are none."""
    seed = int(os.environ.get("CHAOS_SEED", random.SystemRandom().randrange(10**6)))
    rounds = int(os.environ.get("CHAOS_ROUNDS", "5"))
    before = dict(os.environ)
    try:
        return _rounds(seed, rounds)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _rounds(seed: int, rounds: int) -> bool:
    chance = random.Random(seed)
    print(f"chaos: seed {seed}, {rounds} rounds of {KILLS} kills", flush=True)
    with tempfile.TemporaryDirectory(prefix="movierec-chaos-") as folder:
        seconds, reference = _round(Path(folder) / "reference", [])
        print(f"left alone: {seconds:.1f} s")
        killed, broken = 0, 0
        for nth in range(1, rounds + 1):
            moments = [chance.uniform(0, seconds) for _ in range(KILLS)]
            home = Path(folder) / f"round {nth}"
            hits, state = _round(home, moments)
            found = _violations(home)
            if state != reference:
                found.append("models, rows or production differ from those of a run left alone")
            killed, broken = killed + int(hits), broken + len(found)
            at = ", ".join(f"{one:.2f}" for one in moments)
            print(f"round {nth}: {int(hits)} kills at {at} s; {'; '.join(found) or 'sound'}", flush=True)
            shutil.rmtree(home)
    print(f"{killed} kills")
    return goal("chaos, violations", broken, 0, digits=0)


def _environment(home: Path) -> dict[str, str]:
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("MOVIEREC_")},
        "DAGSTER_HOME": str(home), "MOVIEREC_HOME": str(home), "PYTHONPATH": str(ROOT),
        "MOVIEREC_DAGSTER_DIR": str(home / "warehouse" / "dagster"),
    }  # fmt: skip


def _round(home: Path, moments: list[float]) -> tuple[float, Any]:
    """Kill a run at each of the moments (s after its start), then let one finish.

    Returns:
        the seconds of the run if none was killed, else the number of kills; and the state in the end.
    """
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    (home / "warehouse" / "dagster").mkdir(parents=True)
    os.environ.update(_environment(home))
    adapters = resources(Settings(home=home))
    adapters["landing_zone"].deliver_movies(catalogue())
    for day in DAYS:
        adapters["landing_zone"].deliver(day, as_csv(ratings_of_day(day)))
    adapters["model_registry"].initialise()
    with adapters["warehouse"].connect(), dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs(limit=1)
    hits = 0
    for moment in moments:
        with _started(home) as process:
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.kill()
                hits += 1
        with dg.DagsterInstance.from_config(str(home)) as instance:
            for run in instance.get_runs():
                if not run.is_finished:
                    instance.report_run_failed(run)  # as Dagster's code server does
    begun = time.perf_counter()
    with _started(home) as process:
        code = process.wait(600)
    if code:
        raise RuntimeError(f"the last run failed: {(home / 'log').read_text()[-2000:]}")
    return (hits if moments else time.perf_counter() - begun), _state(adapters)


def _started(home: Path) -> subprocess.Popen[str]:
    """A run over all days that is about to begin."""
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, DAYS[0], DAYS[-1]], cwd=home, env=_environment(home), stdout=subprocess.PIPE,
            stderr=log, text=True,
        )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    return process


def _state(adapters: dict[str, Any]) -> Any:
    """What must not depend on the kills: chunks, models, versions by day, production."""
    registry = adapters["model_registry"]
    production = registry.production()
    return (
        adapters["warehouse"].chunks(),
        adapters["warehouse"].models(),
        [(one.data_until, one.identity, one.gate) for one in registry.versions()],
        production and production.identity,
    )


def _violations(home: Path) -> list[str]:
    """The invariants that do not hold."""
    adapters = resources(Settings(home=home))
    registry, found = adapters["model_registry"], []
    with adapters["warehouse"].connect(read_only=True) as connection:
        rows = connection.execute(
            """SELECT day::VARCHAR, rows, validated, rejected, superseded,
                      (SELECT count(*) FROM raw_ratings r WHERE r.day = c.day),
                      (SELECT count(*) FROM validated_ratings v WHERE v.day = c.day),
                      (SELECT count(*) FROM rejected_ratings j WHERE j.day = c.day) FROM chunks c WHERE current"""
        ).fetchall()
    for day, raw, validated, rejected, superseded, *there in rows:
        if raw != validated + rejected + superseded or there != [raw, validated, rejected]:
            found.append(f"{day}: the ledger says {raw}, {validated}, {rejected}; there are {there}")
    if sorted(row[0] for row in rows) != DAYS:
        found.append("a day has no current chunk, or two")
    versions, production = registry.versions(), registry.production()
    wanted = desired_production([one.candidate for one in versions])
    marked = [one.number for one in versions if one.tags.get("status") == "production"]
    if (production and production.number) != wanted or marked != ([wanted] if wanted else []):
        found.append(f"production is {production and production.number}, marked {marked}, wanted {wanted}")
    if len({one.identity for one in versions}) != len(versions):
        found.append("two versions of one identity")
    published = [path for kind in ("bundles", "twins") for path in (home / "warehouse" / kind).iterdir()]
    for path in [path for path in published if not path.name.startswith(".")]:
        try:
            Bundle.open(path, verify=True)
        except BundleError as error:
            found.append(f"half-published: {error}")
    store = adapters["bundle_store"]
    found += [f"no bundle of version {one.number}" for one in versions if not store.complete(one.identity)]
    client = registry.client()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'"):
        found.append("an MLflow run is left RUNNING")
    return found


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
