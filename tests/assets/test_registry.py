"""Real MLflow on SQLite: one version for each identity, one production, no run left RUNNING."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import mlflow
import pytest
from mlflow.store.model_registry.dbmodels.models import SqlModelVersionTag
from mlflow.utils import requirements_utils
from sqlalchemy import event
from sqlalchemy.engine import Engine

from demo.processes import wait_until
from movierec_assets.definitions import resources
from movierec_assets.defs.notices import after_failure
from movierec_assets.defs.shared.production import reconcile_production
from movierec_assets.platform import wired
from movierec_assets.promotion.findings import Verdict
from movierec_assets.resources.registry.mlflow_run import sweep
from movierec_assets.resources.registry.registry_reader import ALIAS, EXPERIMENT, MODEL_NAME
from movierec_assets.settings import settings
from movierec_serving.bundle import Bundle
from tests.conftest import Platform
from tests.support.generate import days_from
from tests.support.processes import started

DAYS = days_from("1998-03-28", 8)


def register(platform: Platform, *days: str, gate: str | None = "passed") -> list[int]:
    """A version without files for each day, with this verdict; their numbers."""
    platform.model_registry.initialise()
    client = platform.model_registry.client()
    numbers = []
    for day in days:
        tags = {
            "identity": f"{day}-{len(numbers)}",
            "data_until": day,
            **({"gate": gate} if gate else {}),
        }
        numbers.append(
            int(
                client.create_model_version(
                    MODEL_NAME, source=str(platform.root), tags=tags
                ).version
            )
        )
    return numbers


def reconcile(platform: Platform) -> int | None:
    return reconcile_production(platform.instance, platform.model_registry, "a test")


def moves(platform: Platform) -> list[tuple[object, object]]:
    return [
        (event.metadata["from"].value, event.metadata["version"].value)
        for event in platform.events("production_model")
    ]


def statuses(platform: Platform) -> list[str | None]:
    return [one.tags.get("status") for one in platform.model_registry.versions()]


def test_the_newest_data_that_passed_is_production_and_once_is_enough(platform: Platform) -> None:
    register(platform, *DAYS[:3])
    register(platform, DAYS[3], gate="refused")
    assert [reconcile(platform) for _ in range(3)] == [3, 3, 3]
    assert moves(platform) == [(0, 3)]
    assert statuses(platform) == ["archived", "archived", "production", "archived"]


def test_an_older_day_never_displaces_a_newer_one(platform: Platform) -> None:
    register(platform, DAYS[5])
    reconcile(platform)
    register(platform, *DAYS[:5])
    assert reconcile(platform) == 1
    register(platform, DAYS[5])  # the same day, repaired
    assert reconcile(platform) == 7
    assert moves(platform) == [(0, 1), (1, 7)]


def test_an_alias_moved_by_hand_is_moved_back(platform: Platform) -> None:
    register(platform, *DAYS[:3])
    reconcile(platform)
    platform.model_registry.client().set_registered_model_alias(MODEL_NAME, ALIAS, "1")
    assert reconcile(platform) == 3
    assert platform.model_registry.production().number == 3
    assert moves(platform) == [(0, 3)]  # it was never reported as moved


def test_a_crash_between_alias_and_tags_is_healed(platform: Platform) -> None:
    register(platform, *DAYS[:2])
    reconcile(platform)
    register(platform, DAYS[2])
    platform.model_registry.client().set_registered_model_alias(MODEL_NAME, ALIAS, "3")
    reconcile(platform)
    assert statuses(platform) == ["archived", "archived", "production"]
    assert moves(platform) == [(0, 2), (2, 3)]


def test_a_crash_between_tags_and_report_is_reported(platform: Platform) -> None:
    register(platform, *DAYS[:2])

    class CrashError(RuntimeError): ...

    def crash(*_: object) -> None:
        raise CrashError

    with pytest.raises(CrashError):
        platform.model_registry.reconcile(lambda: None, crash)
    assert (statuses(platform), moves(platform)) == (["archived", "production"], [])
    assert reconcile(platform) == 2
    assert moves(platform) == [(0, 2)]


def test_the_last_eligible_version_revoked_leaves_no_production(platform: Platform) -> None:
    register(platform, DAYS[0])
    reconcile(platform)
    platform.model_registry.client().set_model_version_tag(MODEL_NAME, "1", "revoked", "bad")
    assert reconcile(platform) is None
    assert platform.model_registry.production() is None
    assert (statuses(platform), moves(platform)) == (["archived"], [(0, 1), (1, 0)])


def test_a_verdict_is_recorded_once(platform: Platform) -> None:
    register(platform, DAYS[0], gate=None)
    registry = platform.model_registry
    first = registry.record_verdict(registry.get(1), Verdict("refused", "worse"))
    second = registry.record_verdict(registry.get(1), Verdict("passed", "lucky"))
    assert (first.decision, second.decision, second.reason) == ("refused", "refused", "worse")


JUDGE = """
import sys
import dagster as dg
from movierec_assets.platform import wired
from movierec_assets.defs.shared.production import reconcile_production
from movierec_assets.promotion.findings import Verdict
from movierec_assets.settings import settings
registry = wired().model_registry
with dg.DagsterInstance.get() as instance:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in map(int, sys.argv[1:]):
        registry.record_verdict(registry.get(number), Verdict("passed", "good"))
        reconcile_production(instance, registry, f"process {sys.argv[1]}")
"""


def test_two_processes_at_once_leave_one_production_and_lose_no_promotion(
    platform: Platform,
) -> None:
    days = days_from("1998-03-01", 16)
    numbers = register(platform, *days, gate=None)
    odd, even = (map(str, numbers[first::2]) for first in (0, 1))
    with started(JUDGE, *odd) as one, started(JUDGE, *even) as other:
        for process in (one, other):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.wait() for process in (one, other)] == [0, 0]
    assert platform.model_registry.production().number == 16
    assert statuses(platform).count("production") == 1
    reported = moves(platform)
    assert reported[-1][1] == 16
    assert [after for _, after in reported] == sorted({after for _, after in reported})
    assert [before for before, _ in reported[1:]] == [after for _, after in reported[:-1]]


def test_a_verdict_reads_its_version_and_not_all_of_them(platform: Platform) -> None:
    register(platform, *DAYS[:2], gate=None)
    version, statements = platform.model_registry.get(1), []
    listener = Engine, "before_cursor_execute", lambda *given: statements.append(given[2])
    event.listen(*listener)
    try:
        platform.model_registry.record_verdict(version, Verdict("passed", "good"))
    finally:
        event.remove(*listener)
    read = [one for one in statements if "FROM model_versions" in one]
    assert read
    assert all("model_versions.version = " in one for one in read)
    assert platform.model_registry.get(1).gate == "passed"


def test_all_versions_are_listed_without_an_object_for_each_tag(platform: Platform) -> None:
    numbers = register(platform, *DAYS[:3])
    registry = platform.model_registry
    registry.client().delete_model_version(MODEL_NAME, str(numbers[0]))
    made = []
    listener = SqlModelVersionTag, "load", lambda *given: made.append(given)
    event.listen(*listener)
    try:
        listed = registry.versions()
    finally:
        event.remove(*listener)
    assert not made
    assert listed == [registry.get(number) for number in numbers[1:]]


def runs(platform: Platform) -> list[Any]:
    client = platform.model_registry.client()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return list(client.search_runs([experiment.experiment_id], max_results=1000))


def test_one_version_for_an_identity_and_its_run_under_the_parent(platform: Platform) -> None:
    platform.deliver(*DAYS[:2])
    assert platform.run(DAYS[0], DAYS[1]).success
    version = platform.model_registry.versions()[0]
    registry = platform.model_registry
    assert (
        registry.register(Bundle.open(platform.bundle_store.served(version.identity)), tags={})
        == version
    )
    assert len(registry.versions()) == 2
    assert not requirements_utils._PACKAGES_TO_MODULES  # no installed package's files were read
    found = runs(platform)
    assert {run.info.status for run in found} == {"FINISHED"}
    (parent,) = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in found if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert sorted(run.info.run_name for run in children) == DAYS[:2]
    assert mlflow.active_run() is None


LOAD = """
import sys, mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
asked = pd.DataFrame({"user_id": ["u1", "nobody"]})
print(model.predict(asked, params={"n": 3}).to_csv(index=False))
assert "movierec_assets" not in sys.modules and "implicit" not in sys.modules
assert "reader.zip" in sys.modules["movierec_serving"].__file__
"""


def test_the_bundle_in_mlflow_is_linked_and_loads_without_pickles(
    platform: Platform, tmp_path: Path
) -> None:
    platform.deliver(DAYS[0])
    assert platform.run(DAYS[0]).success
    (version,) = platform.model_registry.versions()
    for name in ("item_factors.npy", "manifest.json"):
        own = platform.bundle_store.served(version.identity) / name
        (logged,) = (platform.root / "mlflow").rglob(name)
        assert logged.samefile(own)
    without_pickles = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, f"models:/{MODEL_NAME}@{ALIAS}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, **without_pickles, "MLFLOW_TRACKING_URI": settings().tracking_uri},
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split(",") for line in done.stdout.split()]
    assert [(row[0], row[1], row[-1]) for row in rows[1:]] == [
        *(("u1", str(rank), "als") for rank in (1, 2, 3)),
        *(("nobody", str(rank), "popular") for rank in (1, 2, 3)),
    ]


def test_a_failed_run_is_failed_in_mlflow(platform: Platform) -> None:
    platform.deliver(DAYS[0])
    platform.run(DAYS[0], None, "raw_ratings", "validated_ratings")
    assert not platform.run(DAYS[0], None, "registered_model").success  # there is no model
    assert [run.info.status for run in runs(platform)] == ["FAILED"]
    assert mlflow.active_run() is None


RUN = """
import dagster as dg
from movierec_assets.definitions import assemble
from movierec_assets.platform import wired
from tests.conftest import RANGE_START, RANGE_END
import sys
print("ready", flush=True)
with dg.DagsterInstance.get() as instance:
    assemble(wired()).resolve_job_def("daily").execute_in_process(
        instance=instance, tags={RANGE_START: sys.argv[1], RANGE_END: sys.argv[2]})
"""


@pytest.mark.parametrize("mended_by", ["sensor", "next start"])
def test_a_killed_run_is_ended_in_mlflow_and_resumed(platform: Platform, mended_by: str) -> None:
    platform.deliver(*DAYS)
    platform.model_registry.initialise()
    with started(RUN, DAYS[0], DAYS[-1]) as process:
        wait_until(lambda: len(platform.model_registry.versions()) >= 2, "no version", 200, process)
        process.send_signal(signal.SIGKILL)
    assert "RUNNING" in {run.info.status for run in runs(platform)}
    assert (
        sweep(platform.model_registry, platform.instance) == []
    )  # its owner is not known to be over
    (record,) = platform.instance.get_run_records()
    event = platform.instance.report_run_failed(record.dagster_run)  # as Dagster's code server does
    if mended_by == "sensor":
        context = dg.build_run_status_sensor_context(
            "after_failure",
            event,
            platform.instance,
            record.dagster_run,
            resources={"model_registry": platform.model_registry, "notifier": platform.notifier},
        ).for_run_failure()
        after_failure(context)
    else:
        assert platform.run(DAYS[0], None, "registered_model").success
    ended = {run.info.status for run in runs(platform)}
    assert "RUNNING" not in ended
    assert "KILLED" in ended
    assert platform.run(DAYS[0], DAYS[-1]).success
    assert [one.data_until for one in platform.model_registry.versions()] == DAYS
    assert platform.model_registry.production().data_until == DAYS[-1]


def test_a_cancelled_run_is_not_finished_in_mlflow(platform: Platform) -> None:
    @dg.op(required_resource_keys={"mlflow"})
    def cancelled() -> None:
        raise dg.DagsterExecutionInterruptedError

    @dg.job(resource_defs=resources(wired()))
    def interrupted() -> None:
        cancelled()

    with pytest.raises(dg.DagsterExecutionInterruptedError):
        interrupted.execute_in_process(instance=platform.instance)
    assert [run.info.status for run in runs(platform)] == ["FAILED"]


def test_versions_of_before_there_were_records_are_recorded(platform: Platform) -> None:
    register(platform, *DAYS[:3])
    assert platform.model_registry.records.numbers() == []
    platform.model_registry.change("revoke", 2, "a test")
    assert platform.model_registry.records.get(2).tags["revoked"] == "a test"
    platform.model_registry.keep_records()
    assert platform.model_registry.records.numbers() == [1, 2, 3]
    assert platform.model_registry.records.newest_kept().identity == f"{DAYS[2]}-2"


def test_a_damaged_record_counts_as_none(platform: Platform) -> None:
    records = platform.model_registry.records
    records.keep(1, {"identity": "a"}, {"ndcg": 0.5})
    records.keep(2, {"identity": "b"})
    (platform.root / "versions" / "2.json").write_text('{"number": 2}')
    assert records.newest_kept().identity == "a"
    records.keep(1, {"identity": "another"})
    assert records.get(1).identity == "a"
    assert records.taken(1, "another")
    assert not records.taken(1, "a")
    assert not records.taken(3, "c")
