"""What a forked child of the bench does: a run of a job, a sensor's tick, and mending after a
crash.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import dagster as dg

from bench.chaos.invariants import state, violations
from movierec_assets import definitions
from movierec_assets.defs.deployment import UNFINISHED
from movierec_assets.errors import EndpointError
from movierec_assets.partitions import RANGE_END, RANGE_START
from movierec_assets.platform import Platform, wired
from movierec_assets.resources.registry.registry_reader import EXPERIMENT
from movierec_assets.resources.registry.relocation import relocate
from movierec_assets.resources.serving_client import Answer, Reload, ServedVersion
from movierec_assets.settings import settings
from movierec_serving.bundle import BundleError, PublishedModel
from movierec_serving.errors import ReloadRefusedError
from movierec_serving.model.pointer import Pointer
from movierec_serving.model.reload import reload
from tests.support.dagster_inside import (
    interruptible,
    interrupts_as_a_run_worker,
    tick_sensors,
)
from tests.support.generate import as_csv, catalogue, days_from, ratings_of_day

ROOT = Path(__file__).parents[2]
DAYS = days_from("1998-03-29", 5)  # over the end of a month


class DirectClient:
    """Two endpoints without HTTP: the very check and pointer of a real one, in the caller's
    process.
    """

    endpoints = ("1", "2")

    def __init__(self) -> None:
        self.store = settings().warehouse / "models"

    def served(self, url: str) -> int | None:
        model = self.model(url)
        return model.version if model is not None else None

    def model(self, url: str) -> ServedVersion | None:
        version = Pointer.open(self.store / f".serving-{url}").load()
        if not version:
            return None
        try:
            opened = PublishedModel.open(self.store, version)
        except BundleError as error:
            raise EndpointError(str(error)) from error
        return ServedVersion(opened.version, opened.bundle.manifest.identity)

    def recommended(self, url: str, user_ids: Sequence[str], n: int) -> list[Answer]:
        raise EndpointError("it is not asked over HTTP")

    def reload(self, url: str, version: int) -> Reload:
        try:
            done = reload(self.store, Pointer.open(self.store / f".serving-{url}"), version)
        except ReloadRefusedError as error:
            raise EndpointError(str(error)) from error
        return Reload(url, version, done.previous, done.changed, 0.0)


def environment(home: Path) -> dict[str, str]:
    """What a process that works on `home` is given; small models, and a gate that 60 users can
    pass.
    """
    return {
        "DAGSTER_HOME": str(home),
        "MOVIEREC_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "MOVIEREC_DAGSTER_DIR": str(home / "warehouse" / "dagster"),
        "MOVIEREC_GATE_MARGIN": "0.9",
        "MOVIEREC_GATE_SMALL_USERS": "0",
        "MOVIEREC_FACTORS": "8",
        "MOVIEREC_REGULARIZATION": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def at(home: Path) -> None:
    """Make this process one that works on `home`."""
    for name in [
        variable
        for variable in os.environ
        if variable.startswith(("MOVIEREC_", "DAGSTER_", "MLFLOW_"))
    ]:
        del os.environ[name]
    os.environ.update(environment(home))
    os.chdir(home)
    settings.cache_clear()


def forked(home: Path, work: Callable[[], None]) -> int:
    """The pid of a child that does `work` on `home`; its output goes to `<home>.log`."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        log = os.open(home.with_name(f"{home.name}.log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        at(home)
        interrupts_as_a_run_worker()
        work()
        code = 0
    except BaseException as error:  # noqa: BLE001 - a fork must never return
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.stderr.flush()
        os._exit(code)


STAGES = {
    "ingest": ("raw_ratings", "validated_ratings"),
    "train": ("als_model",),
    "register": ("registered_model",),
    "judge": ("gate_verdict",),
    "deploy": ("served_model",),
    "mend": ("served_model",),
}


def direct() -> Platform:
    """The home's platform, whose endpoints are asked without HTTP."""
    return replace(wired(), serving_client=DirectClient())  # type: ignore[arg-type]


def run(job: str, first: int = 1, last: int = 4) -> None:
    """One run, as a run worker does it: of a job, or of a stage of the daily one; or a tick of the
    sensor.
    """
    if job == "tick":
        tick()
        return
    name = job if job == "catalogue" else "deploy" if job in ("deploy", "mend") else "daily"
    tags = {RANGE_START: DAYS[first], RANGE_END: DAYS[last]} if name == "daily" else {}
    assets = {dg.AssetKey(asset) for asset in STAGES.get(job, ())}
    with dg.DagsterInstance.get() as instance, interruptible():
        asked = definitions.assemble(direct()).resolve_job_def(name)
        if name == "deploy":  # without the checks that ask the endpoint over HTTP
            asked = asked.get_subset(asset_selection=assets, asset_check_selection=set())
        selection = list(assets) if assets and name == "daily" else None
        asked.execute_in_process(instance=instance, tags=tags, asset_selection=selection)


def tick(later_s: float = 0.0) -> None:
    """One iteration of Dagster's sensor daemon over the sensor of deployments, so many seconds
    later.
    """
    definitions.defs = definitions.assemble(direct())
    tick_sensors(definitions.__name__, later_s)


def prepare(home: Path) -> None:
    """A home as set-up leaves it, with five days: the second comes again and is refused, its rows
    kept beside the accepted ones; the third comes twice; the last is unreadable.
    """
    with dg.DagsterInstance.get() as instance:
        instance.get_runs(limit=1)
    adapters = wired()
    landing = adapters.landing_zone
    landing.deliver_movies(catalogue())
    for day in DAYS[:3]:
        landing.deliver(day, as_csv(ratings_of_day(day)))
    with adapters.warehouse.connect():
        adapters.model_registry.initialise()
    run("catalogue")
    run("daily", 0, 2)
    run("deploy")
    spoiled = [[user, movie, "9", at] for user, movie, _, at in ratings_of_day(DAYS[1])[:40]]
    landing.deliver(DAYS[1], as_csv(spoiled))
    landing.deliver(DAYS[2], as_csv(ratings_of_day(DAYS[2], seed=1)))
    rows = ratings_of_day(DAYS[3])
    twice = [[user, movie, "3", at] for user, movie, _, at in rows[:5]]
    bad = [[f"u{n}", "m1", "9", rows[0][3]] for n in range(3)]
    landing.deliver(DAYS[3], as_csv([*rows, *twice, *bad]))
    landing.deliver(DAYS[4], b"user_id,movie_id\n")


def corrupt(home: Path) -> None:
    """Damage a publication of the production version: a file of its own, and one that is a link."""
    adapters = wired()
    published = home / "warehouse" / "models" / str(adapters.model_registry.production().number)
    (published / "top_items.npy").write_bytes(b"no array")
    linked = published / "user_factors.npy"
    content = bytearray(linked.read_bytes())
    content[-1] ^= 1
    linked.unlink()
    linked.write_bytes(content)


def recover(home: Path, job: str, result: Path) -> None:
    """What the platform does after a crash: the sensor's tick by itself, or one relaunch; then all
    is looked at.
    """
    broken: list[str] = []
    with dg.DagsterInstance.get() as instance:
        for unfinished in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
            if unfinished.status not in (
                dg.DagsterRunStatus.QUEUED,
                dg.DagsterRunStatus.NOT_STARTED,
            ):
                instance.report_run_failed(unfinished)  # as Dagster's code server does
    if job == "tick":
        broken += _deployments_asked_for()
    else:
        run(job)
    if job in ("tick", "judge", "daily"):
        run("deploy")
    adapters = wired()
    with dg.DagsterInstance.get() as instance:
        broken += violations(adapters, instance)
    result.write_text(json.dumps({"violations": broken, "state": state(adapters)}))


def _deployments_asked_for() -> list[str]:
    """What is wrong when the next tick has not left one deployment to be run, neither none nor
    two.
    """
    tick(60)  # the sensor is due again
    with dg.DagsterInstance.get() as instance:
        queued = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
        for run in queued:
            instance.report_run_canceled(run)
    return [] if len(queued) == 1 else [f"{len(queued)} deployments are queued"]


def clone(source: Path, target: Path) -> Path:
    """A copy of a home; hard links stay such, and what MLflow has stored as absolute paths is
    rewritten.
    """
    subprocess.run(["cp", "-a", source, target], check=True)
    relocate(target / "warehouse" / "mlflow.db", EXPERIMENT, target / "warehouse")
    return target
