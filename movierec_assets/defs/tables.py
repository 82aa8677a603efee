"""The sensor on sources that are tables of a database. It delivers files; who trains on them is
asked as for every other file.
"""

from datetime import UTC, datetime

import dagster as dg

from movierec_assets.defs.shared.header import OWNERS
from movierec_assets.errors import DeclarationError, TableError
from movierec_assets.platform import Platform
from movierec_assets.sources.table import bring


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="New rows of sources that are tables of a database, delivered as a file a day. It "
    "does nothing while no source declares a table.",
    owners=OWNERS,
)
def table_watch(
    context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
) -> dg.SkipReason:
    """Each declared table is looked at by itself: one that cannot be read stops no other.

    Raises:
        TableError: some could not be read; the others are delivered all the same.
    """
    zone, settings = platform.landing_zone, platform.settings
    said, failed = [], []
    for source in zone.sources():
        try:
            declared = zone.declaration(source)
            if declared is None or declared.table is None:
                continue
            state = settings.warehouse / "taken" / f"{source}.db"
            brought = bring(
                source,
                declared,
                declared.table,
                zone,
                state,
                first=settings.partition_start,
                last=settings.partition_end,
                now=datetime.now(UTC),
            )
        except (DeclarationError, TableError, OSError) as error:
            failed.append(str(error))
        else:
            said.append(f"{source}: {brought}")
            if brought.unmarked:
                context.log.warning(said[-1])
    if failed:
        raise TableError("; ".join(failed))
    return dg.SkipReason("; ".join(said) or "no source is a table")
