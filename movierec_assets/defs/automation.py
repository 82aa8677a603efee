"""What asks for runs: one job for a day or a range, a schedule that catches up, and sensors on the
landing zone and on stale days.
"""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg

from movierec_assets.defs.shared.header import OWNERS, TICK_WAIT_S
from movierec_assets.defs.shared.keys import DAILY, MODEL_OF_A_DAY, MOVIES, TRAINED
from movierec_assets.defs.shared.runs import UNFINISHED
from movierec_assets.errors import ChunkError, MissingChunkError, WarehouseHeldError
from movierec_assets.monitoring.missed import missed_days
from movierec_assets.monitoring.staleness import stale_days
from movierec_assets.partitions import (
    RANGE_END,
    RANGE_START,
    contiguous,
    daily,
    day_end,
    outside_partitions,
    within,
)
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings
from movierec_assets.training.identity import partitions_digest
from movierec_serving.events import EventStoreError
from movierec_serving.events.log import EventLog

daily_job = dg.define_asset_job(
    "daily",
    description="A day, or a range of days in one run: from the chunk to the gate's verdict.",
    selection=dg.AssetSelection.assets(*DAILY) | dg.AssetSelection.tag(*MODEL_OF_A_DAY),
    owners=OWNERS,
)
retrain_job = dg.define_asset_job(
    "retrain",
    description="Days whose chunks are validated: from the model to the gate's verdict.",
    selection=dg.AssetSelection.assets(*TRAINED) | dg.AssetSelection.tag(*MODEL_OF_A_DAY),
    owners=OWNERS,
)
catalogue_job = dg.define_asset_job(
    "catalogue",
    selection=dg.AssetSelection.assets(MOVIES),
    description="Read movies.csv again.",
    owners=OWNERS,
)


@dg.schedule(
    job=daily_job,
    cron_schedule="30 * * * *",
    execution_timezone="UTC",
    description="Every hour: the day that has ended, once its chunk has arrived, and days that "
    "were missed. Off at first.",
    owners=OWNERS,
)
def every_day(
    context: dg.ScheduleEvaluationContext,
    landing_zone: LandingZone,
    warehouse: Warehouse,
    event_log: dg.ResourceParam[EventLog],
) -> dg.RunRequest | dg.SkipReason | list[dg.RunRequest]:
    """The day that has ended, once its chunk has arrived, and days that were missed. Off until it
    is switched on.

    It looks every hour: a file that came late is asked for within the hour, and the days after it
    that could not be trained without it are asked for again. So is a day one of whose events was
    taken back.
    """
    now = context.scheduled_execution_time.astimezone(UTC)
    day = (now - timedelta(days=1)).date().isoformat()
    if not daily.has_partition_key(day):
        return dg.SkipReason(
            f"{day} is not a partition: partitions are {daily.start:%Y-%m-%d} to "
            f"{daily.get_last_partition_key()}"
        )
    waiting, changed = _events(context, event_log, day)
    missed = set() if _under_way(context.instance) else _missed(landing_zone, warehouse, day)
    missed |= set(within(changed))
    if missed - {day}:
        stamp = f"{now:%Y%m%dT%H}"
        return [
            dg.RunRequest(
                run_key=f"missed-{first}-{last}-{stamp}", tags={RANGE_START: first, RANGE_END: last}
            )
            for first, last in contiguous(daily.get_partition_keys(), missed)
        ]
    try:
        if not landing_zone.sources_of(day) and not waiting:
            landing_zone.find(day)
    except MissingChunkError as missing:
        return dg.SkipReason(str(missing))
    except ChunkError as error:
        context.log.error(str(error))  # the run fails with it, and is told of
    return dg.RunRequest(run_key=day, partition_key=day)


def _events(
    context: dg.ScheduleEvaluationContext, event_log: EventLog, day: str
) -> tuple[bool, list[str]]:
    """Find out whether events wait for the day's chunk, and which days' chunks have changed."""
    try:
        return event_log.store.has_waiting(day_end(day)), event_log.store.changed_deliveries()
    except EventStoreError as error:
        context.log.error(str(error))
        return False, []


def _missed(landing_zone: LandingZone, warehouse: Warehouse, until: str) -> set[str]:
    """Days that have a file and were never asked for, or not trained; none while DuckDB is held."""
    try:
        with warehouse.waiting(TICK_WAIT_S).connect(read_only=True):
            ledger, models = warehouse.chunks(), warehouse.models()
    except WarehouseHeldError:
        return set()
    missed = missed_days(within(landing_zone.days()), within(ledger), models, until)
    return {day for day in missed if day in ledger or landing_zone.readable(day)}


def _under_way(instance: dg.DagsterInstance) -> dg.DagsterRun | None:
    """A run over days that has not ended: it may be doing what would be asked for."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED), limit=100)
    days = {RANGE_START, "dagster/partition"}
    return next((run for run in runs if days & run.tags.keys()), None)


@dg.sensor(
    job=retrain_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Days whose models no longer follow from the ledger, trained again: after a late "
    "or re-delivered day. On at first.",
    owners=OWNERS,
)
def retrain_stale(
    context: dg.SensorEvaluationContext,
    warehouse: Warehouse,
    settings: dg.ResourceParam[Settings],
) -> dg.SensorResult | dg.SkipReason:
    """Asks for each range of stale days, once for each state of the ledger."""
    if run := _under_way(context.instance):
        return dg.SkipReason(f"run {run.run_id[:8]} over days is under way")
    try:
        with warehouse.waiting(TICK_WAIT_S).connect(read_only=True):
            models = list(warehouse.models().values())
            partitions = warehouse.partitions(models[-1].day, None) if models else []
    except WarehouseHeldError as error:
        return dg.SkipReason(f"{error}; asked again in a minute")
    stale = set(stale_days(models, partitions, settings.window_days))
    if not stale:
        return dg.SkipReason("every model follows from the ledger")
    state = f"{min(stale)} to {max(stale)}, {partitions_digest(partitions)[:16]}"
    if context.cursor == state:  # a run that failed is told of; another one would fail, too
        return dg.SkipReason(f"asked for already, and still stale: {state}")
    requests = [
        dg.RunRequest(f"stale-{first}-{last}-{state}", tags={RANGE_START: first, RANGE_END: last})
        for first, last in contiguous(daily.get_partition_keys(), stale)
    ]
    return dg.SensorResult(run_requests=requests, cursor=state)


@dg.sensor(
    jobs=[daily_job, catalogue_job],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="New or changed chunks, asked for as ranges of days. Off at first: it would ask "
    "for every day at once.",
    owners=OWNERS,
)
def landing_zone_watch(
    context: dg.SensorEvaluationContext, landing_zone: LandingZone
) -> dg.SensorResult:
    """Asks for each contiguous range of days whose files are new or changed, and for a changed
    catalogue.
    """
    known = json.loads(context.cursor or "{}")
    try:
        path = landing_zone.movies_path()
    except ChunkError as error:  # days do not wait for it
        context.log.error(str(error))
        path = None
    partitions = daily.get_partition_keys()
    fingerprints = landing_zone.fingerprints()
    # A file that is no partition yet is not remembered: it is news when its day is one.
    delivered = {day: fingerprints[day] for day in partitions if day in fingerprints}
    if path is not None:
        delivered["movies"] = str(path.stat().st_mtime_ns)
    changed = {key for key, fingerprint in delivered.items() if known.get(key) != fingerprint}
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    requests = []
    if "movies" in changed:
        requests.append(dg.RunRequest(run_key=f"movies-{stamp}", job_name=catalogue_job.name))
    for first, last in contiguous(partitions, changed):
        tags = {RANGE_START: first, RANGE_END: last}
        requests.append(
            dg.RunRequest(f"{first}-{last}-{stamp}", job_name=daily_job.name, tags=tags)
        )
    said = [] if requests else ["no chunk is new or changed"]
    if outside := sorted(fingerprints.keys() - set(partitions)):
        said.append(outside_partitions(outside))
    said += landing_zone.odd_names()
    for line in said[bool(not requests) :]:
        context.log.warning(line)
    reason = None if requests else "; ".join(said)
    return dg.SensorResult(run_requests=requests, cursor=json.dumps(delivered), skip_reason=reason)
