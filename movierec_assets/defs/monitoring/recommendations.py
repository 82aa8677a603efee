"""What people were shown, day by day, and whether it helped them."""

from collections.abc import Mapping

import dagster as dg

from movierec_assets.defs.shared.actions import actions_since
from movierec_assets.defs.shared.days import Results, each_day
from movierec_assets.defs.shared.header import daily_asset
from movierec_assets.defs.shared.keys import GATE_VERDICT, VALIDATED_RATINGS
from movierec_assets.defs.shared.metadata import Metadata, table
from movierec_assets.defs.shared.pictures import curves
from movierec_assets.defs.shared.sharing import share
from movierec_assets.monitoring.outcomes import DIMENSIONS, RATES, K, Rate, rates
from movierec_assets.partitions import days_before
from movierec_assets.platform import Platform
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_serving.events import EventStoreError

NOTHING = "nobody was shown a list on this day"


@daily_asset(deps=[VALIDATED_RATINGS, GATE_VERDICT], kinds={"duckdb"})
def recommendation_log(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> Results:
    """The lists that people were shown on the day, each exactly once, and what became of those of
    the days before.

    An action counts for a list that named the movie to the same user up to `MOVIEREC_OUTCOME_DAYS`
    days before; so the rates of a day are final when as many days have followed. After the gate,
    so that nothing waits for it. Lists of days before that had no run are ingested with the next.
    """
    warehouse, shown_files = platform.warehouse, platform.shown_files
    metadata: dict[str, dict[str, int | str]] = {}
    of_day: dict[str, list[Rate]] = {}

    def ingest(day: str) -> None:
        shown, torn = shown_files.read(day)
        new = warehouse.record_shown(day, shown)
        for missed in _missed(platform, day):
            warehouse.record_shown(missed, shown_files.read(missed)[0])
        lists = warehouse.lists_shown(day)
        metadata[day] = {"dagster/row_count": lists, "new lists": new, "torn lines": torn}
        try:
            of_day.update(_evaluate(platform, day))
        except EventStoreError as error:  # without events the rates would be too low
            metadata[day]["note"] = f"the rates wait: {error}"
            context.log.error(f"{day}: {error}")
        oldest = days_before(day, platform.settings.keep_shown_days)
        warehouse.forget_shown(oldest)
        shown_files.remove(oldest)

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        oldest = days_before(days[-1], platform.settings.keep_shown_days)
        share(context, lambda: platform.home_files.share(gone_before={"shown": oldest}))
        described = {day: {**_metadata(of_day.get(day, [])), **metadata[day]} for day in days}
        return {**described, days[-1]: {**described[days[-1]], **_so_far(warehouse, days[-1])}}

    yield from each_day(context, ingest, describe)


def _evaluate(platform: Platform, until: str) -> dict[str, list[Rate]]:
    """Record what is known at the end of a day about its lists and those of the days before."""
    warehouse, within = platform.warehouse, platform.settings.outcome_days
    first = days_before(until, within)
    # What was done to an earlier list of a user's counts for that one, which may be as old again.
    days = {"first": days_before(first, within), "last": until}
    events = actions_since(platform, days["first"])
    with warehouse.connect():
        judged = warehouse.user_days(**days, events=events, within=within, k=K)
        movies = warehouse.movies_shown(**days, events=events, within=within, k=K)
        catalogue = len(warehouse.movies())
        known = {
            day: rates(judged[judged["day"] == day], movies[movies["day"] == day], catalogue)
            for day in sorted(map(str, judged["day"].unique()))
            if day >= first
        }
        for day, of_the_day in known.items():
            warehouse.record_outcomes(day, until, of_the_day)
    return known


def _missed(platform: Platform, day: str) -> list[str]:
    """The days before of which something was written and nothing is in the table."""
    oldest = days_before(day, platform.settings.keep_shown_days)
    written = [shown for shown in platform.shown_files.days() if oldest <= shown < day]
    return [day for day in written if not platform.warehouse.lists_shown(day)]


def _metadata(of_the_day: list[Rate]) -> Metadata:
    if not of_the_day:
        return {"note": NOTHING}
    whole = [rate for rate in of_the_day if rate.dimension == "all"]
    parts = [rate for rate in of_the_day if rate.dimension in DIMENSIONS]
    return {
        **{rate.rate: round(rate.middle, 5) for rate in whole},
        "so far": table(("rate", "of the first 10 places"), [(r.rate, str(r)) for r in whole]),
        "by what made it": table(
            ("by", "value", "rate", "middle"),
            [(part.dimension, part.value, part.rate, str(part)) for part in parts],
        ),
    }


def _so_far(warehouse: Warehouse, until: str) -> Metadata:
    """A picture of the rates of all days that have any."""
    outcomes = warehouse.outcomes(until)
    days = list(dict.fromkeys(day for day, _ in outcomes))
    if not days:
        return {}
    by_name = {(day, rate.rate): rate.middle for day, rate in outcomes}
    lines = {
        name: [by_name.get((day, name), float("nan")) for day in days]
        for name in RATES
        if any((day, name) in by_name for day in days)
    }
    return {"all days": curves(lines, days, "what became of the lists that were shown")}
