"""How the pipeline is, told to the endpoints: `/app/status` shows it to those who run it."""

from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg

from movierec_assets.defs.shared.header import OWNERS, TICK_WAIT_S
from movierec_assets.defs.shared.keys import EXPERIMENT_RESULTS, PRODUCTION_MODEL, SERVED_MODEL
from movierec_assets.errors import WarehouseHeldError
from movierec_assets.maintenance.survey import survey
from movierec_assets.monitoring.report import report_of
from movierec_assets.platform import Platform
from movierec_assets.resources.notifier import webserver


@dg.sensor(
    minimum_interval_seconds=60,
    owners=OWNERS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes how production, the last days and the endpoints are beside the published "
    "models, for the page /app/status of the endpoints.",
)
def publish_status(
    context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
) -> dg.SkipReason:
    """Surveys all stores; while a run holds the warehouse, what was told last stays."""
    warehouse = platform.warehouse.waiting(TICK_WAIT_S)
    try:
        status = survey(replace(platform, warehouse=warehouse))
        trial = warehouse.running()
    except WarehouseHeldError as error:
        return dg.SkipReason(str(error))
    report = report_of(
        status,
        datetime.now(UTC),
        _deployed_after(context.instance),
        {"Dagster": webserver(), "MLflow": platform.settings.mlflow_ui},
        said_of(context.instance, trial.name) if trial is not None else (),
    )
    platform.published_models.tell(report)
    return dg.SkipReason(f"told: {len(report.look)} things to look at")


def _deployed_after(instance: dg.DagsterInstance) -> float | None:
    """Seconds from the last move of production to its deployment; None if that has not ended."""
    moved, served = map(instance.get_latest_materialization_event, (PRODUCTION_MODEL, SERVED_MODEL))
    if moved is None or served is None or served.timestamp < moved.timestamp:
        return None
    return round(served.timestamp - moved.timestamp, 1)


def said_of(instance: dg.DagsterInstance, experiment: str) -> tuple[str, ...]:
    """What the last analysed day says of the experiment under way, and what to do."""
    event = instance.get_latest_materialization_event(EXPERIMENT_RESULTS)
    if event is None or event.asset_materialization is None:
        return ()
    said, day = event.asset_materialization.metadata, event.asset_materialization.partition
    if "what to do" not in said or said["experiment"].value != experiment:
        return ()
    return (f"{day}: {said['what to do'].value}",)
