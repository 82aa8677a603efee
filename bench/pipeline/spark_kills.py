"""A day's fit on a Spark cluster while a process of it is killed: `python -m bench spark_kills`.

The day is fitted by a real run; the kill comes in the middle of the first fit. A run that failed is
launched again. Then the model is fitted here once more, and the bits are compared.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dagster as dg
import numpy as np

from bench.goals import goal
from bench.pipeline.platform import ROOT, copy_home_files, in_its_own
from bench.pipeline.spark_cluster import Cluster, kill, missing, processes
from demo.processes import running, wait_until
from tests.support.generate import as_csv, days_from, ratings_of_day

DAYS = days_from("1998-03-02", 7)
ASSETS = ("raw_ratings", "validated_ratings", "als_model")
MIDDLE = "iteration 10 of"
SETTINGS = {
    "MOVIEREC_TRAINER": "spark",
    "MOVIEREC_ITERATIONS": "40",
    "MOVIEREC_WARM_ITERATIONS": "40",
}
HERE, RUN = "bench.pipeline.spark_kills", "run"
VICTIMS = (  # a worker and the master last: they do not come back
    *("executors, JVM", "executors, Python", "driver, Python", "driver, JVM"),
    *(RUN, "workers", "master"),
)


def main() -> bool:
    """Print a row for each process that is killed; whether all models have the local bits."""
    if lack := missing():
        print(lack)
        return True
    print("| killed | the run | the next run | bits | s |\n|---|---|---|---|---|", flush=True)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="movierec-spark-") as name:
        folder = Path(name)
        copy_home_files(folder)
        (folder / "warehouse" / "dagster").mkdir(parents=True)
        landing = folder / "warehouse" / "landing" / "ratings"
        landing.mkdir(parents=True)
        for day in DAYS:
            (landing / f"{day}.csv").write_bytes(as_csv(ratings_of_day(day)))
        with Cluster(folder) as cluster:
            settings = {**SETTINGS, "MOVIEREC_SPARK_MASTER": cluster.master}
            for day, victim in zip(DAYS, VICTIMS, strict=True):
                wrong += not _case(cluster, folder, settings, day, victim)
    return goal("spark, models with other bits after kills", wrong, 0, digits=0)


def _case(cluster: Cluster, folder: Path, settings: dict[str, str], day: str, victim: str) -> bool:
    began = time.monotonic()
    log = folder / f"{day}.log"
    command = [sys.executable, "-W", "ignore", "-m", HERE, day]
    with running("run", command, log, {**_environment(folder), **settings}, folder) as run:
        wait_until(lambda: MIDDLE in log.read_text(errors="replace"), MIDDLE, 240, run)
        if victim == RUN:
            drivers = list(processes({run.pid}, "driver, JVM"))
            kill(run.pid)
            wait_until(lambda: not any(map(_lives, drivers)), "the driver's end", 60)
        else:
            kill(next(processes({run.pid, *cluster.sessions}, victim)))
        ended = run.wait()
    said = log.read_text(errors="replace").splitlines()
    causes = [line.split("CAUSE ")[1] for line in said if line.startswith("CAUSE ")]
    first = "goes on" if ended == 0 else f"fails: {causes[0]}" if causes else "is dead"
    again, bits = "–", said[-1]
    if ended:
        again = "is done"
        if victim == "master":  # it is not back: the fit runs without a cluster
            settings, again = {**settings, "MOVIEREC_TRAINER": "local"}, "is done locally"
        bits = in_its_own(folder, HERE, day, **settings)
    spent = time.monotonic() - began
    print(f"| {victim} | {first} | {again} | {bits} | {spent:.0f} |", flush=True)
    return bits == "identical"


def _environment(folder: Path) -> dict[str, str]:
    return {
        "DAGSTER_HOME": str(folder),
        "MOVIEREC_HOME": str(folder),
        "MOVIEREC_DAGSTER_DIR": str(folder / "warehouse" / "dagster"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def _lives(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return state.stdout.strip()[:1] not in ("", "Z")


def one_day(day: str) -> int:
    """Run the day in this process, say why it failed, and compare with a fit of this process."""
    from movierec_assets.definitions import assemble
    from movierec_assets.partitions import RANGE_END, RANGE_START
    from movierec_assets.platform import wired
    from movierec_assets.training.als import ALS
    from movierec_assets.training.trainer import fitted
    from movierec_serving.bundle import Bundle

    adapters = wired()
    with dg.DagsterInstance.get() as instance:
        done = (
            assemble(adapters)
            .resolve_job_def("daily")
            .execute_in_process(
                instance=instance,
                tags={RANGE_START: day, RANGE_END: day},
                asset_selection=[dg.AssetKey(asset) for asset in ASSETS],
                raise_on_error=False,
            )
        )
    if not done.success:
        failed = done.failure_data_for_node("als_model").user_failure_data.metadata["failed"]
        print("CAUSE", failed.records[0].data["cause"])
        return 1
    model = adapters.warehouse.models([day])[day]
    served = Bundle.open(adapters.bundle_store.served(str(model.identity)))
    parent = model.parent and Bundle.open(adapters.bundle_store.served(model.parent))
    manifest, data = served.manifest, adapters.warehouse.interactions(day, None)
    here = fitted(ALS, data, day, manifest.parameters, manifest.seed, parent or None).own
    same = all(np.array_equal(here[name], served.family.arrays[name]) for name in here)
    print("identical" if same else "DIFFERENT")
    return 0


if __name__ == "__main__":
    raise SystemExit(one_day(sys.argv[1]))
