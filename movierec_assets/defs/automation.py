"""What asks for runs: one job for a day or a range, a schedule, and a sensor on the landing
zone.
"""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg

from movierec_assets.defs.shared.keys import DAILY, MODEL_OF_A_DAY, MOVIES
from movierec_assets.errors import ChunkError, MissingChunkError
from movierec_assets.partitions import RANGE_END, RANGE_START, contiguous, daily, outside_partitions
from movierec_assets.resources.stores.landing_zone import LandingZone

daily_job = dg.define_asset_job(
    "daily",
    description="A day, or a range of days in one run: from the chunk to the gate's verdict.",
    selection=dg.AssetSelection.assets(*DAILY) | dg.AssetSelection.tag(*MODEL_OF_A_DAY),
)
catalogue_job = dg.define_asset_job(
    "catalogue", selection=dg.AssetSelection.assets(MOVIES), description="Read movies.csv again."
)


@dg.schedule(job=daily_job, cron_schedule="30 0 * * *", execution_timezone="UTC")
def every_day(
    context: dg.ScheduleEvaluationContext, landing_zone: LandingZone
) -> dg.RunRequest | dg.SkipReason:
    """The day that has ended, if its chunk has arrived. Off until it is switched on."""
    day = (context.scheduled_execution_time - timedelta(days=1)).astimezone(UTC).date().isoformat()
    if not daily.has_partition_key(day):
        return dg.SkipReason(
            f"{day} is not a partition: partitions are {daily.start:%Y-%m-%d} to "
            f"{daily.get_last_partition_key()}"
        )
    try:
        landing_zone.find(day)
    except MissingChunkError as missing:
        return dg.SkipReason(str(missing))
    except ChunkError as error:
        context.log.error(str(error))  # the run fails with it, and is told of
    return dg.RunRequest(run_key=day, partition_key=day)


@dg.sensor(
    jobs=[daily_job, catalogue_job],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="New or changed chunks, asked for as ranges of days. Off at first: it would ask "
    "for every day at once.",
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
    found = {day: fingerprints[day] for day in partitions if day in fingerprints}
    if path is not None:
        found["movies"] = str(path.stat().st_mtime_ns)
    changed = {key for key, fingerprint in found.items() if known.get(key) != fingerprint}
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
    return dg.SensorResult(run_requests=requests, cursor=json.dumps(found), skip_reason=reason)
