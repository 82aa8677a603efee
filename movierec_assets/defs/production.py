"""Production by hand, and what a person is told: pins and revocations, stale days, failures,
refused days.
"""

import json
from collections.abc import Sequence

import dagster as dg

from movierec_assets.defs.deployment import ATTEMPT
from movierec_assets.defs.promotion import reconcile_production
from movierec_assets.defs.training import als_model
from movierec_assets.errors import ChangeError, WarehouseHeldError
from movierec_assets.monitoring.staleness import stale_days
from movierec_assets.partitions import RANGE_END, RANGE_START, contiguous, daily
from movierec_assets.ratings.ledger import Chunk
from movierec_assets.resources.notifier import Notifier, webserver
from movierec_assets.resources.registry.mlflow_run import sweep
from movierec_assets.resources.registry.model_registry import Action, ModelRegistry
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import settings

TICK_WAIT_S = (
    2.0  # for the warehouse, which runs hold for milliseconds; Dagster ends a tick after 60
)


class Change(dg.Config):
    """What to do to which version, and why."""

    action: Action
    version: int
    reason: str


@dg.op
def change_production(
    context: dg.OpExecutionContext, config: Change, model_registry: ModelRegistry
) -> None:
    """Record the decision in the registry, then reconcile: the endpoints follow within a sensor's
    interval.
    """
    try:
        model_registry.change(config.action, config.version, config.reason)
    except ChangeError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    by = (
        f"set_production: {config.action} version {config.version} ({config.reason}), run "
        f"{context.run_id}"
    )
    production = reconcile_production(context.instance, model_registry, by)
    context.log.info(f"{by}; production is {production or 'none'}")


@dg.job(description="pin, unpin, revoke, unrevoke or approve a version, with a reason.")
def set_production() -> None:
    change_production()


@dg.asset_check(
    asset=als_model, description="no day's model was made from other data than the ledger names now"
)
def days_current(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Finds re-delivered and repaired days, and all that were trained on them, as ranges for the
    backfill dialog.
    """
    models = list(warehouse.models().values())
    partitions = warehouse.partitions(models[-1].day, None) if models else []
    stale = set(stale_days(models, partitions, settings().window_days))
    if not stale:
        return dg.AssetCheckResult(passed=True, metadata={"days": len(models)})
    stretches = contiguous(daily.get_partition_keys(), stale)
    ranges = ", ".join(
        first if first == last else f"[{first}...{last}]" for first, last in stretches
    )
    return dg.AssetCheckResult(
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(stale)} days are stale; paste into the backfill dialog: {ranges}",
        metadata={"days": len(models), "stale": len(stale), "backfill": ranges},
    )


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING, monitor_all_code_locations=False
)
def after_failure(
    context: dg.RunFailureSensorContext,
    model_registry: ModelRegistry,
    notifier: dg.ResourceParam[Notifier],
) -> None:
    """A failed run is notified once; what it could not end because it was killed, is ended here.

    The sensor repeats a deployment for ever: the first failure of a version is told, then each new
    cause.
    """
    run = context.dagster_run
    first, last = (run.tags.get(key) for key in (RANGE_START, RANGE_END))
    of = (first if first == last else f"{first} to {last}") or run.tags.get("dagster/partition")
    cause = _cause(context.instance, run.run_id)
    if run.tags.get(ATTEMPT, "1") == "1" or cause != _cause_before(context.instance, run):
        text = (
            f"{run.job_name}{f' of {of}' if of else ''} failed: {cause} "
            f"{webserver()}/runs/{run.run_id}"
        )
        notifier.send(text)
    swept = sweep(model_registry, context.instance)
    context.log.info(f"MLflow runs ended: {', '.join(swept) or 'none'}")
    reconcile_production(context.instance, model_registry, f"after the failure of run {run.run_id}")


def _cause(instance: dg.DagsterInstance, run_id: str) -> str:
    """What failed in a run, in a sentence."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    for event in [entry.get_dagster_event() for entry in instance.all_logs(run_id, of_type=kinds)]:
        if not event.is_step_failure:
            return event.message or "for an unknown reason"
        failure = event.step_failure_data
        if failure.user_failure_data is not None and failure.user_failure_data.description:
            return f"{event.step_key}: {failure.user_failure_data.description}"
        if failure.error is not None:
            error = failure.error.cause or failure.error
            return f"{event.step_key}: {error.message.strip().splitlines()[0]}"
    return "for an unknown reason"


def _cause_before(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    """What failed in the run of the same job before this one; None if nothing did."""
    runs = instance.get_runs(dg.RunsFilter(job_name=run.job_name), limit=100)
    earlier = runs[[one.run_id for one in runs].index(run.run_id) + 1 :]
    return _cause(instance, earlier[0].run_id) if earlier and earlier[0].is_failure else None


@dg.sensor(minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def refused_days(
    context: dg.SensorEvaluationContext, warehouse: Warehouse, notifier: dg.ResourceParam[Notifier]
) -> dg.SensorResult:
    """Each refused chunk is notified once, by day and sha256."""
    try:  # a tick that waits for a shell as long as a run does would be ended by Dagster
        ledger = Warehouse(path=warehouse.path, wait_s=TICK_WAIT_S).chunks()
    except WarehouseHeldError as error:
        return dg.SensorResult(skip_reason=f"{error}; asked again in a minute")
    chunks = [one for some in ledger.values() for one in some]
    refused = {
        f"{one.day}/{one.sha256}": _told(one, ledger[one.day])
        for one in chunks
        if one.verdict == "refused"
    }
    new = sorted(refused.keys() - set(json.loads(context.cursor or "[]")))
    if (
        new
    ):  # one message: a webhook that hangs must not outlast the tick, which would tell it again
        lines = "\n".join(refused[key] for key in new)
        notifier.send(f"{lines}\n{webserver()}/assets/validated_ratings")
    told = ", ".join(key[:10] for key in new)
    reason = f"told of {told}" if new else "no day was refused since"
    return dg.SensorResult(cursor=json.dumps(sorted(refused)), skip_reason=reason)


def _told(refused: Chunk, chunks: Sequence[Chunk]) -> str:
    """A refused chunk, and what of its day is trained on instead."""
    current = [one.sha256 for one in chunks if one.source == refused.source and one.current]
    if not current:
        return f"{refused.day} is refused and not trained on: {refused.reason}"
    return (
        f"{refused.day}: a new chunk is refused, the one accepted before, {current[0][:12]}, "
        f"stays: {refused.reason}"
    )
