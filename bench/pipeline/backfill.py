"""A backfill of every day, beside what it cannot do without: `python -m bench backfill`.

Ours is a backfill of all daily assets over the whole range, asked for as the UI asks, launched by
the daemon. The floors, each in a process of its own, without its start: (a) the same parsing,
validation, fits, evaluations, verdicts and writes in a bare loop, (b) Dagster with as many empty
assets, days and metadata, (c) the bare MLflow calls. (d) is a run a day with a process for each
step, through the same daemon.
"""

import dataclasses
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from threadpoolctl import threadpool_limits

from bench.goals import goal
from bench.pipeline.platform import ASSETS, ROOT, in_its_own, started

SAMPLE_DAYS = 3  # of a run a day
ENTRIES, METRICS, JUDGED = (
    14,
    56,
    17,
)  # of a day: metadata of an asset, numbers of a model, of its verdict
Figures = dict[str, Any]


def main() -> bool:
    """Run all parts on the landing zone's days, print the table; whether every goal is met."""
    places = (ROOT / "warehouse" / "landing", ROOT / "warehouse" / "cache" / "demo")
    landing = next((place for place in places if _days(place)), None)
    if landing is None:
        print("backfill: no ratings; run `movierec fetch ml-100k` first")
        return False
    parts = {name: _part(name, landing) for name in PARTS}
    ours, again, single = parts["ours"]["first"], parts["ours"]["second"], parts["single"]["first"]
    days = parts["ours"]["days"]
    rows = [
        ("ours, with its start", ours, days),
        ("ours again, all current", again, days),
        ("(d) a run a day", single, SAMPLE_DAYS),
    ]
    rows += [
        (f"({letter}) {name}", parts[name], days)
        for letter, name in zip("abc", FLOORS, strict=True)
    ]
    for name, figures, count in rows:
        print(
            f"{name:24} {figures['wall']:7.1f} s wall {figures['cpu']:7.1f} s CPU "
            f"{figures['memory']:6.0f} MB "
            f"{figures['wall'] / count:7.3f} s wall {figures['cpu'] / count:7.3f} s CPU a day "
            f"({count} days)"
        )
    for asset, seconds in ours["assets"].items():
        print(
            f"  {asset:20} {seconds / days:.3f} s a day, "
            f"{again['assets'].get(asset, 0) / days:.3f} when current"
        )
    print(f"until the daemon launched it: {ours['waited']:.0f} s (its tick is 30 s)")
    floor = sum(parts[name]["cpu"] for name in FLOORS)
    faster = {unit: single[unit] / SAMPLE_DAYS / (ours[unit] / days) for unit in ("wall", "cpu")}
    print(
        f"a day by a run a day, over ours: {faster['wall']:.0f} times the wall, "
        f"{faster['cpu']:.0f} times the CPU"
    )
    steps = [sum(part["assets"].values()) for part in (ours, again)]
    return all(
        [
            goal("backfill, CPU over its floors a + b + c", ours["cpu"] / floor, 1.15),
            goal(
                "backfill, a day faster than by a run a day",
                faster["wall"],
                30,
                at_most=False,
                digits=0,
            ),
            goal("backfill, a second one's steps over the first one's", steps[1] / steps[0], 0.05),
        ]
    )


def _days(landing: Path) -> list[str]:
    days = sorted(file.stem for file in (landing / "ratings").glob("*.csv"))
    return days[: int(os.environ.get("BENCH_DAYS", "9999"))]


def _part(name: str, landing: Path) -> Figures:
    """One part in a fresh folder and a fresh process."""
    with tempfile.TemporaryDirectory(prefix="movierec-bench-") as folder:
        shutil.copytree(landing, Path(folder) / "warehouse" / "landing")
        figures: Figures = json.loads(in_its_own(Path(folder), "bench.pipeline.backfill", name))
        return figures


def measured(work: Callable[[], Any]) -> Figures:
    """Wall and CPU seconds of `work`, children included, and the largest resident set (MB) of a
    process.
    """

    def cpu() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in used)

    begun, before = time.perf_counter(), cpu()
    with threadpool_limits(1, "blas"):
        work()
    memory = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {"wall": time.perf_counter() - begun, "cpu": cpu() - before, "memory": memory / 1024}


def ours(days: list[str]) -> Figures:
    with started() as platform:
        first, second = (platform.backfill(days[0], days[-1]) for _ in range(2))
    return {"first": dataclasses.asdict(first), "second": dataclasses.asdict(second)}


def loop(days: list[str]) -> Figures:
    """(a): the product's functions, without Dagster, MLflow, lookups and checks between them."""
    from movierec_assets.defs.validation import judgement
    from movierec_assets.platform import wired
    from movierec_assets.promotion.comparison import compare, overlap, usual_overlap
    from movierec_assets.promotion.gate import judge
    from movierec_assets.ratings.chunks import parse_chunk
    from movierec_assets.ratings.declaration import PLAIN
    from movierec_assets.settings import settings
    from movierec_assets.training.als import ALS
    from movierec_assets.training.day import train_day
    from movierec_assets.training.plan import Fit, Recipe
    from movierec_serving.bundle import Bundle

    adapters = wired()
    warehouse, store = adapters.warehouse, adapters.bundle_store
    recipe = Recipe("als", ALS, ALS.parameters(settings()), 0)

    def work() -> None:
        for day in days:
            path, chunk = adapters.landing_zone.read(day)
            digest = adapters.chunk_archive.store(day, chunk)
            warehouse.load_chunk(day, digest, path.name, parse_chunk(chunk, path.name))
            (loaded,) = warehouse.chunks([day])[day]
            warehouse.judge(loaded, partial(judgement, loaded, PLAIN, 0.05))
        previous: Bundle | None = None
        anchor = yesterday = served_before = None
        for day in days:
            with warehouse.connect(read_only=True):
                partitions = warehouse.partitions(day, None)
                if partitions[-1][0] != day:
                    continue
                interactions = warehouse.interactions(day, None)
            start = previous if previous and previous.manifest.data_until[:7] == day[:7] else None
            sized = replace(recipe, parameters=ALS.sized(recipe.parameters, len(interactions)))
            plan = Fit(day, sized, partitions, start)
            trained = train_day(plan, interactions, yesterday if start else None, store.write_twin)
            store.write_served(trained.served)
            warehouse.record_model(trained.model)
            twin = Bundle.open(store.twin(plan.identity))
            previous = Bundle.open(store.served(plan.identity))
            anchor = anchor if start and anchor else twin
            against = {"anchor": anchor, "production": yesterday} if yesterday else {}
            compared, common = compare(previous, twin, against), overlap(previous, twin)
            usual = (
                usual_overlap(previous, served_before, yesterday)
                if served_before and yesterday
                else None
            )
            judge(trained.model.metrics, compared, common, margin=0.05, level=0.95, usual=usual)
            yesterday, served_before = twin, previous

    return measured(work)


def dagster(days: list[str]) -> Figures:
    """(b): as many empty assets and events."""
    from movierec_assets.partitions import daily

    def empty(name: str, before: list[str]) -> dg.AssetsDefinition:
        @dg.asset(
            name=name,
            deps=before,
            partitions_def=daily,
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        def nothing(context: dg.AssetExecutionContext) -> None:
            for day in context.partition_keys:
                context.add_asset_metadata(
                    dict.fromkeys(map(str, range(ENTRIES)), day), partition_key=day
                )

        return nothing

    assets = [
        empty(name, list(ASSETS[nth - 1 : nth]) if nth else []) for nth, name in enumerate(ASSETS)
    ]
    job = dg.Definitions(
        assets=assets,
        jobs=[dg.define_asset_job("floor", selection=assets)],
        executor=dg.in_process_executor,
    ).resolve_job_def("floor")
    with dg.DagsterInstance.get() as instance:
        return measured(lambda: job.execute_in_process(instance=instance, tags=range_tags(days)))


def mlflow(days: list[str]) -> Figures:
    """(c): a child run, a logged bundle, a version and a verdict for each day."""
    from movierec_assets.platform import wired
    from movierec_assets.promotion.findings import Verdict
    from movierec_assets.resources.registry.model_registry import ModelRegistry
    from movierec_assets.resources.registry.registry_reader import EXPERIMENT
    from movierec_assets.settings import settings
    from movierec_assets.training.als import ALS
    from movierec_serving.bundle import Bundle
    from tests.support.sample_models import content, write

    registry: ModelRegistry = wired().model_registry
    warm_up()
    import mlflow as client

    client.set_tracking_uri(registry.tracking_uri)
    client.set_experiment(EXPERIMENT)
    path = Path("bundle").resolve()
    write(path, content(900, 1600, 64), parameters=ALS.parameters(settings()))
    bundle = Bundle.open(path)
    numbers = {f"metric {n}": float(n) for n in range(METRICS)}
    judged = {f"number {n}": float(n) for n in range(JUDGED)}

    def work() -> None:
        with client.start_run(run_name="parent"):
            for day in days:
                tags = {"partition": day, "git_commit": "x", "dagster_run": "x", "fit": "warm"}
                with client.start_run(nested=True, run_name=day, tags=tags):
                    named = dataclasses.replace(
                        bundle, manifest=bundle.manifest.model_copy(update={"identity": day})
                    )
                    version = registry.register(named, tags=tags, metrics=numbers)
                registry.record_verdict(version, Verdict("passed", "good", judged))

    return measured(work)


def single(days: list[str]) -> Figures:
    from movierec_assets.partitions import RANGE_END, RANGE_START

    workspace = Path("workspace.yaml").read_text()
    Path("a-run-a-day.yaml").write_text(
        workspace.replace(
            "movierec_assets.definitions", "bench.pipeline.backfill\n      attribute: a_run_a_day"
        )
    )
    with started("a-run-a-day.yaml") as platform:
        return {
            "first": dataclasses.asdict(platform.runs(days[:SAMPLE_DAYS], (RANGE_START, RANGE_END)))
        }


@dg.definitions
def a_run_a_day() -> dg.Definitions:
    """(d): our definitions, each step in a process of its own."""
    from movierec_assets.definitions import assemble
    from movierec_assets.platform import wired

    ours = assemble(wired())
    return dg.Definitions(
        assets=ours.assets,
        asset_checks=ours.asset_checks,
        jobs=ours.jobs,
        resources=ours.resources,
        executor=dg.multiprocess_executor,
    )


def warm_up() -> None:
    """Create MLflow's database and import what a long-lived process has imported: neither is a
    day's work.
    """
    import implicit.als  # noqa: F401
    import mlflow.pyfunc  # noqa: F401

    from movierec_assets.platform import wired

    wired().model_registry.initialise()


def range_tags(days: list[str]) -> dict[str, str]:
    from movierec_assets.partitions import RANGE_END, RANGE_START

    return {RANGE_START: days[0], RANGE_END: days[-1]}


FLOORS = {"loop": loop, "dagster": dagster, "mlflow": mlflow}
PARTS = {"ours": ours, "single": single, **FLOORS}

if __name__ == "__main__":
    every = _days(Path("warehouse") / "landing")
    print(json.dumps({"days": len(every), **PARTS[sys.argv[1]](every)}))
