"""From the store of events to the landing zone: what users did, delivered as one more source."""

import time
from collections.abc import Mapping

import dagster as dg

from movierec_assets.defs.shared.days import Results, each_day
from movierec_assets.defs.shared.header import daily_asset
from movierec_assets.defs.shared.metadata import Metadata, table
from movierec_assets.defs.shared.sharing import share
from movierec_assets.partitions import day_end, days_before
from movierec_assets.ratings.collected import DECLARATION, Collected, chunk_of
from movierec_assets.resources.stores.home_files import HomeFiles
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.settings import Settings
from movierec_serving.events import EventStoreError
from movierec_serving.events.log import EventLog
from movierec_serving.events.tables import SOURCE

NOT_OVER = "the day is not over"


@daily_asset(
    deps=[],
    kinds={"sqlite"},
    check_specs=[
        dg.AssetCheckSpec(
            "events_reached",
            asset="collected_events",
            description="The store of events could be asked for every day. A failure says for "
            "which days not: they went on without events, and a later day's chunk has these.",
        )
    ],
)
def collected_events(
    context: dg.AssetExecutionContext,
    landing_zone: LandingZone,
    home_files: dg.ResourceParam[HomeFiles],
    event_log: dg.ResourceParam[EventLog],
    settings: dg.ResourceParam[Settings],
) -> Results:
    """The events that came up to the day's end and that no chunk has, as a file of ratings.

    Each event is in the chunk of one day, for ever: what came late is in a later one's. A day is
    collected again with the same events, without those that were taken back since. While the store
    cannot be reached days go on without events, which the next day's chunk then has.
    """
    chunks: dict[str, Collected] = {}
    unreached: dict[str, str] = {}

    def collect(day: str) -> None:
        if time.time() < day_end(day):
            return
        try:
            kept = event_log.store.collect(day, day_end(day))
        except EventStoreError as error:
            context.log.error(f"{day}: {error}")
            unreached[day] = str(error)
            return
        if home_files.object_store:
            home_files.events.write(day, [event for event in kept if event.delivery == day])
        chunks[day] = chunk_of(kept, day, event_log.types)
        if chunks[day].rows or day in landing_zone.days(SOURCE):
            landing_zone.declare(SOURCE, DECLARATION)
            landing_zone.deliver(day, chunks[day].content, SOURCE)

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        if not unreached:
            oldest = days_before(days[-1], settings.keep_events_days)
            gone = event_log.store.let_go(oldest, days_before(days[-1], settings.keep_seen_days))
            context.log.info(f"{gone} events were kept long enough")
            home_files.events.remove(oldest)
            if home_files.object_store:
                for day in {*event_log.store.delivered()} - {*home_files.events.days()}:
                    home_files.events.write(day, event_log.store.day(day))  # of before it was set
            share(context, lambda: home_files.share(gone_before={"events": oldest}))
        return {day: _metadata(chunks.get(day), unreached.get(day, NOT_OVER)) for day in days}

    def check() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            check_name="events_reached",
            passed=not unreached,
            severity=dg.AssetCheckSeverity.ERROR,
            description="; ".join(f"{day}: {said}" for day, said in list(unreached.items())[:3])
            or None,
        )

    yield from each_day(context, collect, describe, checks=[check])


def _metadata(collected: Collected | None, unreached: str) -> Metadata:
    if collected is None:
        return {"note": f"not collected: {unreached}"}
    return {
        "dagster/row_count": collected.rows,
        "events": sum(collected.types.values()),
        "events by type": table(("type", "events"), sorted(collected.types.items())),
        "left out": table(("reason", "events"), sorted(collected.left_out.items())),
    }
