"""A backfill of every day, beside what it cannot do without: `python -m bench backfill`.

Ours is the job `daily` over the whole range in one process. The floors, each in a process of its own:
(a) the same parsing, validation, fits, evaluations and writes in a bare loop, (b) Dagster with as many empty
assets, days and metadata, (c) the bare MLflow calls. (d) is a run a day with the multiprocess executor.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from bench.goals import goal

ROOT = Path(__file__).parents[1]
ASSETS = ("raw_ratings", "validated_ratings", "als_model", "registered_model", "gate_verdict")
SAMPLE_DAYS = 3  # of a run a day
Figures = dict[str, Any]


def main() -> bool:
    """Run all parts on the landing zone's days, print the table; whether every goal is met."""
    landing = next(
        (
            one
            for one in (ROOT / "warehouse" / "landing", ROOT / "warehouse" / "cache" / "demo")
            if _days(one)
        ),
        None,
    )
    if landing is None:
        print("backfill: no ratings; run `movierec fetch ml-100k` first")
        return False
    found = {name: _part(name, landing) for name in ("ours", "loop", "dagster", "mlflow", "single")}
    days = found["ours"]["days"]
    for name, figures in found.items():
        print(
            f"{name:8} {figures['wall']:8.1f} s wall {figures['cpu']:8.1f} s CPU {figures['memory']:7.0f} MB "
            f"{figures['wall'] / figures['days']:7.3f} s a day ({figures['days']} days)"
        )
    for asset, seconds in found["ours"]["assets"].items():
        print(f"  {asset:20} {seconds / days:.3f} s a day")
    floor = sum(found[name]["cpu"] for name in ("loop", "dagster", "mlflow"))
    ratio = found["ours"]["cpu"] / floor
    faster = found["single"]["wall"] / found["single"]["days"] / (found["ours"]["wall"] / days)
    return all(
        [
            goal("backfill, CPU over its floors a + b + c", ratio, 1.15),
            goal("backfill, a day faster than by a run a day", faster, 30, at_most=False, digits=0),
        ]
    )


def _days(landing: Path) -> list[str]:
    return sorted(file.stem for file in (landing / "ratings").glob("*.csv"))


def _part(name: str, landing: Path) -> Figures:
    """One part in a fresh folder and a fresh process."""
    with tempfile.TemporaryDirectory(prefix="movierec-bench-") as folder:
        home = Path(folder)
        shutil.copy(ROOT / "dagster.yaml", home)
        (home / "warehouse" / "dagster").mkdir(parents=True)
        shutil.copytree(landing, home / "warehouse" / "landing")
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("MOVIEREC_")},
            "DAGSTER_HOME": str(home), "MOVIEREC_HOME": str(home), "PYTHONPATH": str(ROOT),
            "MOVIEREC_DAGSTER_DIR": str(home / "warehouse" / "dagster"),
        }  # fmt: skip
        with (home / "log").open("wb") as log:
            done = subprocess.run(
                [sys.executable, "-m", "bench.backfill", name],
                cwd=home,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        if done.returncode:
            raise RuntimeError(f"{name} failed:\n{(home / 'log').read_text()[-3000:]}")
        figures: Figures = json.loads(done.stdout.splitlines()[-1])
        return figures


def _measured(work: Callable[[], Any]) -> Figures:
    """Wall and CPU seconds of `work`, children included, and the largest resident set (MB) of a process."""

    def cpu() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)

    begun, before = time.perf_counter(), cpu()
    work()
    memory = max(
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {"wall": time.perf_counter() - begun, "cpu": cpu() - before, "memory": memory / 1024}


def ours(days: list[str]) -> Figures:
    from movierec_assets.definitions import assemble
    from movierec_assets.settings import settings

    _warm_up()
    runs: list[dg.ExecuteInProcessResult] = []
    with dg.DagsterInstance.get() as instance:
        job = assemble(settings()).resolve_job_def("daily")
        figures = _measured(
            lambda: runs.append(
                job.execute_in_process(instance=instance, tags=_range(days), raise_on_error=False)
            )
        )
        assert runs[0].success, "the backfill failed"
        steps = instance.get_run_step_stats(runs[0].run_id)
        seconds = {one.step_key: (one.end_time or 0) - (one.start_time or 0) for one in steps}
    return {**figures, "assets": {asset: seconds[asset] for asset in ASSETS}}


def loop(days: list[str]) -> Figures:
    """(a): the product's functions, without Dagster, MLflow, lookups and checks between them."""
    from movierec_assets.definitions import resources
    from movierec_assets.defs import training, validation
    from movierec_assets.evaluation.comparison import compare, overlap
    from movierec_assets.evaluation.offline import evaluate
    from movierec_assets.evaluation.splits import temporal_holdout
    from movierec_assets.ratings.chunks import parse_chunk
    from movierec_assets.resources.warehouse import DayModel
    from movierec_assets.settings import settings
    from movierec_assets.training import als
    from movierec_assets.training.factors import content, factors_of
    from movierec_assets.training.interactions import confidence
    from movierec_serving.bundle import Bundle, write_bundle

    adapters = resources(settings())
    warehouse, store = adapters["warehouse"], adapters["bundle_store"]

    def work() -> None:
        for day in days:
            path, chunk = adapters["landing_zone"].read(day)
            digest = adapters["chunk_archive"].store(day, chunk)
            warehouse.load_chunk(day, digest, path.name, parse_chunk(chunk, path.name))
            warehouse.judge(day, lambda raw, day=day: validation._judgement(raw, day, 0.05))
        previous: Bundle | None = None
        anchor = yesterday = None
        for day in days:
            partitions = warehouse.partitions(day, None)
            if partitions[-1][0] != day:
                continue
            start = previous if previous and previous.manifest.data_until[:7] == day[:7] else None
            interactions = warehouse.interactions(day, None)
            held = temporal_holdout(interactions.users)
            kept = interactions.select(~held)
            origins = (training._twin_parent(store, start, kept), start)
            for path, data, origin in (
                (store.twin(day), kept, origins[0]), (store.served(day), interactions, origins[1])
            ):  # fmt: skip
                began_from = factors_of(origin) if origin else None
                weights = confidence(data, day, settings().fit_parameters)
                factors = als.fit(data, weights, settings().fit_parameters, 0, began_from)
                write_bundle(
                    path, content(data, weights, factors), identity=day, fit="warm" if origin else "cold",
                    parent=origin.manifest.identity if origin else None, data_until=day, seed=0,
                    parameters=settings().fit_parameters, partitions=partitions, partitions_digest="",
                    training_version="",
                    libraries={}, blas="",
                )  # fmt: skip
            twin, previous = Bundle.open(store.twin(day)), Bundle.open(store.served(day))
            evaluation = evaluate(twin, interactions.select(held))
            warehouse.record_model(DayModel(day, day, None, "warm", day, "", evaluation.metrics))
            anchor = anchor if start and anchor else twin
            against = {"anchor": anchor, "production": yesterday} if yesterday else {}
            compare(previous, twin, against)
            overlap(previous, twin)
            yesterday = twin

    return _measured(work)


def dagster(days: list[str]) -> Figures:
    """(b): as many empty assets and events."""
    from movierec_assets.partitions import daily

    def empty(name: str, before: list[str]) -> dg.AssetsDefinition:
        @dg.asset(
            name=name, deps=before, partitions_def=daily, backfill_policy=dg.BackfillPolicy.single_run()
        )
        def nothing(context: dg.AssetExecutionContext) -> None:
            for day in context.partition_keys:
                context.add_asset_metadata({"day": day}, partition_key=day)

        return nothing

    assets = [empty(name, list(ASSETS[nth - 1 : nth]) if nth else []) for nth, name in enumerate(ASSETS)]
    job = dg.Definitions(
        assets=assets, jobs=[dg.define_asset_job("floor", selection=assets)], executor=dg.in_process_executor
    ).resolve_job_def("floor")
    with dg.DagsterInstance.get() as instance:
        return _measured(lambda: job.execute_in_process(instance=instance, tags=_range(days)))


def mlflow(days: list[str]) -> Figures:
    """(c): a child run, a logged bundle, a version and a verdict for each day."""
    from movierec_assets.definitions import resources
    from movierec_assets.resources.model_registry import EXPERIMENT, ModelRegistry
    from movierec_assets.settings import settings
    from movierec_serving.bundle import write_bundle
    from tests.serving.sample_models import content

    registry: ModelRegistry = resources(settings())["model_registry"]
    _warm_up()
    import mlflow as client

    client.set_tracking_uri(registry.tracking_uri)
    client.set_experiment(EXPERIMENT)
    bundle = Path("bundle").resolve()
    write_bundle(
        bundle, content(900, 1600, 64), identity="x", data_until=days[0], parent=None, fit="cold", seed=0,
        parameters={}, partitions=[], partitions_digest="", training_version="1", libraries={}, blas="",
    )  # fmt: skip

    def work() -> None:
        with client.start_run(run_name="parent"):
            for day in days:
                with client.start_run(nested=True, run_name=day) as run:
                    client.set_tags({"partition": day, "git_commit": "x", "dagster_run": "x", "fit": "warm"})
                    client.log_params({f"parameter {n}": n for n in range(11)})
                    client.log_metrics({f"metric {n}": float(n) for n in range(14)})
                    registry.log_dataset(run.info.run_id, name="validated_ratings", digest=day, until=day)
                    version = registry.register(bundle, identity=day, data_until=day, tags={"partition": day})
                registry._tag(version.number, gate_reason="good", gate="passed")

    return _measured(work)


def single(days: list[str]) -> Figures:
    """(d): a run a day, each step in a process of its own."""
    _warm_up()
    sample = days[:SAMPLE_DAYS]

    def work() -> None:
        with dg.DagsterInstance.get() as instance:
            for day in sample:
                with dg.execute_job(
                    dg.reconstructable(multiprocess_job), instance, tags=_range([day])
                ) as result:
                    assert result.success

    return {**_measured(work), "days": SAMPLE_DAYS}


def multiprocess_job() -> dg.JobDefinition:
    from movierec_assets.definitions import assemble
    from movierec_assets.settings import settings

    ours = assemble(settings())
    return dg.Definitions(
        assets=ours.assets, asset_checks=ours.asset_checks, jobs=ours.jobs, resources=ours.resources,
        executor=dg.multiprocess_executor,
    ).resolve_job_def("daily")  # fmt: skip


def _warm_up() -> None:
    """Create MLflow's database and import what a long-lived process has imported: neither is a day's work."""
    import implicit.als  # noqa: F401
    import mlflow.pyfunc  # noqa: F401

    from movierec_assets.definitions import resources
    from movierec_assets.settings import settings

    resources(settings())["model_registry"].initialise()


def _range(days: list[str]) -> dict[str, str]:
    from movierec_assets.partitions import RANGE_END, RANGE_START

    return {RANGE_START: days[0], RANGE_END: days[-1]}


if __name__ == "__main__":
    every = _days(Path(os.environ["MOVIEREC_HOME"]) / "warehouse" / "landing")[
        : int(os.environ.get("BENCH_DAYS", "9999"))
    ]
    parts = {"ours": ours, "loop": loop, "dagster": dagster, "mlflow": mlflow, "single": single}
    print(json.dumps({"days": len(every), **parts[sys.argv[1]](every)}))
