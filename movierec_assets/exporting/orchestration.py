"""Metrics of Dagster: when each asset last succeeded, runs, results of checks, and its daemon."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import dagster as dg
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from movierec_assets.defs.shared.keys import (
    DAILY,
    MOVIES,
    PREQUENTIAL_EVALUATION,
    PRODUCTION_MODEL,
    RAW_RATINGS,
    SERVED_MODEL,
    VALIDATED_RATINGS,
    model_key,
)
from movierec_assets.exporting.gauges import gauge_by
from movierec_assets.settings import Settings

PASSED = {"SUCCEEDED": 1.0, "FAILED": 0.0}  # of a check's status; others are only planned
LOOKED_AT = 300  # newest runs: a job whose last run is older is left out
CHECKS = {
    RAW_RATINGS: ("chunks_readable",),
    VALIDATED_RATINGS: ("few_rows_rejected", "days_as_usual"),
    PREQUENTIAL_EVALUATION: ("taste_as_before",),
    PRODUCTION_MODEL: ("production_current",),
    SERVED_MODEL: ("live_answers", "live_accuracy"),
}


def orchestration_metrics(instance: dg.DagsterInstance, settings: Settings) -> Iterable[Metric]:
    """Read Dagster's storage; no code location is loaded."""
    models = [model_key(arm) for arm in settings.arms]
    yield _successes(instance, [*DAILY, *models, MOVIES, PRODUCTION_MODEL, SERVED_MODEL])
    yield _runs(instance)
    yield _last_failed(instance)
    yield _checks(instance)
    yield _daemon(instance)


def _successes(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> Metric:
    entries = [record.asset_entry for record in instance.get_asset_records(keys)]
    last = {
        entry.asset_key.to_user_string(): entry.last_materialization_record.timestamp
        for entry in entries
        if entry.last_materialization_record is not None
    }
    return gauge_by(
        "movierec_asset_last_success_timestamp_seconds",
        "When an asset was last materialized, of whatever day",
        "asset",
        last,
    )


def _runs(instance: dg.DagsterInstance) -> Metric:
    counts = {
        status.value.lower(): instance.get_runs_count(dg.RunsFilter(statuses=[status]))
        for status in dg.DagsterRunStatus
    }
    return gauge_by("movierec_runs", "Runs that Dagster remembers, by status", "status", counts)


def _last_failed(instance: dg.DagsterInstance) -> Metric:
    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    newest: dict[str, float] = {}
    for run in instance.get_runs(dg.RunsFilter(statuses=ended), limit=LOOKED_AT):
        newest.setdefault(run.job_name, float(run.is_failure))
    return gauge_by(
        "movierec_job_last_run_failed",
        "1 if the newest ended run of a job failed, 0 if it succeeded",
        "dagster_job",
        newest,
    )


def _checks(instance: dg.DagsterInstance) -> Metric:
    family = GaugeMetricFamily(
        "movierec_check_passed",
        "1 if a check of an asset passed when it was last evaluated, else 0",
        labels=["asset", "check"],
    )
    keys = [dg.AssetCheckKey(asset, name) for asset, names in CHECKS.items() for name in names]
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    for key, record in latest.items():
        passed = PASSED.get(record.status.value)
        if passed is not None:
            family.add_metric([key.asset_key.to_user_string(), key.name], passed)
    return family


def _daemon(instance: dg.DagsterInstance) -> Metric:
    heartbeats = instance.get_daemon_heartbeats()
    parts = [part for part in instance.get_required_daemon_types() if part in heartbeats]
    return gauge_by(  # another version's parts are left out
        "movierec_daemon_heartbeat_timestamp_seconds",
        "When a part of Dagster's daemon last said that it runs, which it does every 30 s",
        "part",
        {part.lower(): heartbeats[part].timestamp for part in parts},
    )
