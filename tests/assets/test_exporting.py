"""What Prometheus is told of the pipeline: stored facts, also while a store cannot be read."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from dagster._daemon.types import DaemonHeartbeat
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily

from movierec_assets.cli.status import silence
from movierec_assets.exporting.exporter import exporter_registry
from movierec_assets.exporting.machine import machine_metrics, processes
from movierec_assets.exporting.orchestration import CHECKS
from movierec_assets.exporting.source import Source, Sources
from movierec_assets.monitoring.experiments import Look
from movierec_assets.resources.warehouse.experiments import Trial
from movierec_serving.bundle.experiment import Arm, Experiment
from tests.conftest import Platform
from tests.support.generate import as_csv, ratings_of_day
from tests.support.processes import started
from tests.test_docs import page

DAYS = ("1998-03-02", "1998-03-03")
HOLD = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
"""


def values(registry: CollectorRegistry) -> dict[str, float]:
    """Each sample's value by its name and labels, as Prometheus writes them."""
    return {
        sample.name
        + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for metric in registry.collect()
        for sample in metric.samples
    }


def test_stored_facts_are_exported_also_while_the_warehouse_is_held(platform: Platform) -> None:
    platform.deliver(*DAYS, ratings=600)
    assert platform.run("-", job="catalogue").success
    assert platform.run(*DAYS).success
    registry = exporter_registry(platform.wired, platform.instance, max_age_s=0)
    found = values(registry)
    expected = {
        "movierec_days stage=delivered": 2,
        "movierec_days stage=ingested": 2,
        "movierec_days stage=accepted": 2,
        "movierec_days stage=trained": 2,
        "movierec_ratings kind=rows": 1200,
        "movierec_ratings kind=rejected": 0,
        "movierec_newest_day_ratings": 600,
        "movierec_newest_day_rejected_ratio": 0,
        "movierec_refused_days_in_a_row": 0,
        "movierec_versions verdict=passed": 2,
        "movierec_gate_refusals_in_a_row": 0,
        "movierec_production_version": 2,
        "movierec_production_days_behind": 0,
        "movierec_served_version endpoint=http://127.0.0.1:1": 0,
        "movierec_shown_lists arm=none source=none": 0,
        "movierec_arm_users arm=none experiment=none": 0,
        "movierec_arm_lead arm=none bound=middle experiment=none": 0,
        "movierec_sample_ratio_p experiment=none": 1,
        "movierec_runs status=success": 2,
        "movierec_job_last_run_failed dagster_job=daily": 0,
        "movierec_check_passed asset=validated_ratings check=few_rows_rejected": 1,
        "movierec_source_readable source=warehouse": 1,
        "movierec_losses store=models/": 1,  # production, which nothing has published yet
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["movierec_next_day_ndcg model=production"] > 0
    assert found["movierec_asset_last_success_timestamp_seconds asset=als_model"] > 1e9
    assert found["movierec_store_bytes store=bundles"] > 0
    with started(HOLD, str(platform.root / "movierec.duckdb")):
        held = values(registry)
    assert held["movierec_source_readable source=warehouse"] == 0
    assert held["movierec_days stage=trained"] == 2
    assert held["movierec_source_readable source=dagster"] == 1
    shutil.rmtree(platform.root / "chunks")
    assert values(registry)["movierec_losses store=chunks/"] == 1


def test_the_daemon_and_the_warehouses_own_disk_are_seen(platform: Platform) -> None:
    part = platform.instance.get_required_daemon_types()[0]
    beat = DaemonHeartbeat(timestamp=7.0, daemon_type=part, daemon_id="1", errors=[])
    platform.instance.add_daemon_heartbeat(beat)
    found = values(exporter_registry(platform.wired, platform.instance, max_age_s=0))
    assert found[f"movierec_daemon_heartbeat_timestamp_seconds part={part.lower()}"] == 7
    assert silence(platform.instance, 300.0) == []
    assert "not been heard of for 10 minutes" in silence(platform.instance, 607.0)[0]
    sizes = {
        metric.name: metric.samples[0].value
        for metric in machine_metrics(platform.home, Path("/dev/shm"))
        if "disk" in metric.name
    }
    assert sizes["movierec_disk_size_bytes"] == shutil.disk_usage("/dev/shm").total


def test_a_refused_day_and_a_failed_run_are_seen(platform: Platform) -> None:
    platform.deliver(DAYS[0], ratings=600)
    assert platform.run("-", job="catalogue").success
    assert platform.run(DAYS[0]).success
    rows = [[user, movie, "9", at] for user, movie, _, at in ratings_of_day(DAYS[1])]
    platform.landing_zone.deliver(DAYS[1], as_csv(rows))
    assert platform.run(DAYS[1]).success
    assert not platform.run("1998-03-05").success  # there is no such file
    found = values(exporter_registry(platform.wired, platform.instance, max_age_s=0))
    assert found["movierec_refused_days_in_a_row"] == 1
    assert found["movierec_newest_day_rejected_ratio"] == 1
    assert found["movierec_check_passed asset=validated_ratings check=few_rows_rejected"] == 0
    assert found["movierec_job_last_run_failed dagster_job=daily"] == 1
    assert found["movierec_runs status=failure"] == 1


def test_what_people_are_shown_and_the_experiment_under_way_are_exported(
    platform: Platform,
) -> None:
    shares = {"production": 0.5, "popular": 0.5}
    arms = [Arm(name=name) for name in shares]
    experiment = Experiment.of("lists", "a long salt", arms, shares)
    about = {"metric": "hit_rate", "effect": 0.1, "days": 14, "information": 1.0, "power": None}
    dates = {"started": DAYS[0], "grown": DAYS[0]}
    warehouse = platform.warehouse
    warehouse.record_trial(Trial("lists", **about, reason="", **dates, experiment=experiment))
    rest = {"dislikes": 0.0, "fallbacks": 0.0, "failures": 0.0, "ms": 1.0}
    none = {"middle": None, "low": None, "high": None}
    found = {"middle": 0.1, "low": 0.02, "high": 0.18}
    for day, p in ((DAYS[0], 0.5), (DAYS[1], 0.0001)):
        looks = [
            Look("production", 100, 0.5, **none, mismatch=p, **rest),
            Look("popular", 40, 0.6, **found, mismatch=p, **rest),
        ]
        warehouse.record_looks("lists", day, looks)
    warehouse.record_shown(DAYS[0], shown_lists(40))
    seen = values(exporter_registry(platform.wired, platform.instance, max_age_s=0))
    assert seen["movierec_arm_users arm=popular experiment=lists"] == 40
    assert seen["movierec_arm_lead arm=popular bound=low experiment=lists"] == 0.02
    assert "movierec_arm_lead arm=production bound=low experiment=lists" not in seen
    assert seen["movierec_sample_ratio_p experiment=lists"] == 0.0001
    assert seen["movierec_shown_lists arm=popular source=popular"] == 40


def shown_lists(people: int) -> pd.DataFrame:
    """A list of the arm `popular` for each user."""
    ids = [f"u{number}" for number in range(people)]
    same = {"version": 1, "arm": "popular", "arm_failed": False, "source": "popular"}
    more = {"skipped": 0, "ms": 1.0, "shown_at": pd.Timestamp(DAYS[0]), "movies": [["m1"]] * people}
    who = {
        "recommendation_id": ids,
        "user_id": ids,
        "reason": None,
        "drafted": None,
        "explored": None,
    }
    return pd.DataFrame({**who, **same, **more})


def test_every_metric_of_the_pipeline_has_a_heading(platform: Platform) -> None:
    registry = exporter_registry(platform.wired, platform.instance, max_age_s=0)
    names = [
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for metric in registry.collect()
    ]
    assert len(names) > 8
    assert [name for name in names if f"### `{name}`" not in page("metrics")] == []


def test_the_checks_that_are_exported_are_the_code_locations(platform: Platform) -> None:
    graph = platform.definitions.resolve_asset_graph()
    known = {(key.asset_key, key.name) for key in graph.asset_check_keys}
    assert {(asset, name) for asset, names in CHECKS.items() for name in names} <= known


def test_an_empty_home_is_no_error(platform: Platform) -> None:
    found = values(exporter_registry(platform.wired, platform.instance, max_age_s=0))
    assert found["movierec_days stage=ingested"] == 0
    assert found["movierec_production_version"] == 0
    assert {value for name, value in found.items() if "readable" in name} == {1}


def test_what_was_read_is_said_again_until_it_is_old() -> None:
    reads: list[int] = []

    def read() -> list[Metric]:
        reads.append(1)
        if len(reads) == 2:
            raise OSError("gone")
        return [GaugeMetricFamily("some", "some", value=len(reads))]

    time = [0.0]
    registry = CollectorRegistry()
    registry.register(Sources([Source("store", read, 15.0)], lambda: time[0]))
    expected = [(0, 1, 1, 0), (14, 1, 1, 14), (16, 1, 0, 16), (17, 1, 0, 17), (32, 3, 1, 0)]
    for now, some, readable, age in expected:
        time[0] = now
        found = values(registry)
        assert found == {
            "some": some,
            "movierec_source_readable source=store": readable,
            "movierec_source_age_seconds source=store": age,
        }


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="no /proc here")
def test_processes_of_this_home_are_named(tmp_path: Path) -> None:
    program = tmp_path / "dagster-daemon"
    program.symlink_to(sys.executable)
    code = "import os, sys; os.chdir(sys.argv[1]); print('ready', flush=True); sys.stdin.read()"
    with started(code, str(tmp_path), str(program)):
        found = list(processes(tmp_path))
    assert [one.kind for one in found] == ["daemon"]
    assert found[0].memory > 1e6
    assert list(processes(tmp_path)) == []
