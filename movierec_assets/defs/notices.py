"""What a person is told by sensors: failed runs, and refused days. Each once."""

from collections.abc import Sequence

import dagster as dg

from movierec_assets.defs.shared.header import OWNERS, TICK_WAIT_S
from movierec_assets.defs.shared.production import reconcile_production
from movierec_assets.defs.shared.runs import cause, subject
from movierec_assets.defs.shared.tags import ATTEMPT
from movierec_assets.errors import WarehouseHeldError
from movierec_assets.monitoring.told import REFUSED, Told
from movierec_assets.ports import Notices
from movierec_assets.ratings.ledger import Chunk
from movierec_assets.resources.notifier import webserver
from movierec_assets.resources.registry.mlflow_run import sweep
from movierec_assets.resources.registry.model_registry import ModelRegistry
from movierec_assets.resources.warehouse.warehouse import Warehouse


@dg.run_failure_sensor(  # it takes no owners
    default_status=dg.DefaultSensorStatus.RUNNING,
    monitor_all_code_locations=False,
    description="Tells of each failed run once, with its days, cause and link.",
)
def after_failure(
    context: dg.RunFailureSensorContext,
    model_registry: ModelRegistry,
    notifier: dg.ResourceParam[Notices],
) -> None:
    """A failed run is notified once; what it could not end because it was killed, is ended here.

    The sensor repeats a deployment for ever: the first failure of a version is told, then each new
    cause.
    """
    run, instance = context.dagster_run, context.instance
    now = {run.job_name: cause(instance, run.run_id)}
    for job in _told_before(instance, run).news(now):
        notifier.send(f"{subject(run)} failed: {now[job]} {webserver()}/runs/{run.run_id}")
    swept = sweep(model_registry, instance)
    context.log.info(f"MLflow runs ended: {', '.join(swept) or 'none'}")
    reconcile_production(instance, model_registry, f"after the failure of run {run.run_id}")


def _told_before(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Told:
    """What was told of the job: of a repeated attempt, the cause that the run before failed for."""
    if run.tags.get(ATTEMPT, "1") == "1":
        return Told()
    runs = instance.get_runs(dg.RunsFilter(job_name=run.job_name), limit=100)
    ids = [other.run_id for other in runs]
    earlier = runs[ids.index(run.run_id) + 1 :]
    if not earlier or not earlier[0].is_failure:
        return Told()
    return Told({run.job_name: cause(instance, earlier[0].run_id)})


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of each refused chunk once.",
    owners=OWNERS,
)
def refused_days(
    context: dg.SensorEvaluationContext, warehouse: Warehouse, notifier: dg.ResourceParam[Notices]
) -> dg.SensorResult:
    """Each refused chunk is notified once, by day and sha256.

    All are in one message: a webhook that hangs must not outlast the tick, which would tell it
    again.
    """
    try:  # a tick that waits for a shell as long as a run does would be ended by Dagster
        ledger = warehouse.waiting(TICK_WAIT_S).chunks()
    except WarehouseHeldError as error:
        return dg.SensorResult(skip_reason=f"{error}; asked again in a minute")
    lines = {
        f"{day}/{chunk.sha256}": _refusal(chunk, chunks)
        for day, chunks in ledger.items()
        for chunk in chunks
        if chunk.verdict == "refused"
    }
    now = dict.fromkeys(sorted(lines), REFUSED)
    news = Told.loads(context.cursor).news(now)
    if news:
        link = f"{webserver()}/assets/validated_ratings"
        notifier.send("\n".join([*(lines[name] for name in news), link]))
    days = ", ".join(name[:10] for name in news)
    reason = f"told of {days}" if news else "no day was refused since"
    return dg.SensorResult(cursor=Told(now).dumps(), skip_reason=reason)


def _refusal(refused: Chunk, chunks: Sequence[Chunk]) -> str:
    """A refused chunk, and what of its day is trained on instead."""
    current = [chunk.sha256 for chunk in chunks if chunk.source == refused.source and chunk.current]
    if not current:
        return f"{refused.day} is refused and not trained on: {refused.reason}"
    return (
        f"{refused.day}: a new chunk is refused, the one accepted before, {current[0][:12]}, "
        f"stays: {refused.reason}"
    )
