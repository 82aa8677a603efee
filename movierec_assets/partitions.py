"""The one partitioning: a UTC day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import dagster as dg

from movierec_assets.settings import settings

MOST_SHOWN = 5  # days in a message
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def daily_partitions(start: date, end: date | None) -> dg.DailyPartitionsDefinition:
    """Days from `start` to `end`, both included; without an end, up to and including today."""
    exclusive = None if end is None else (end + timedelta(days=1)).isoformat()
    return dg.DailyPartitionsDefinition(
        start.isoformat(), exclusive, timezone="UTC", end_offset=int(end is None)
    )


def contiguous(keys: Sequence[str], wanted: set[str]) -> list[tuple[str, str]]:
    """(first, last) of each unbroken stretch of `keys` that are `chosen`."""
    stretches: list[tuple[str, str]] = []
    previous = False
    for key in keys:
        if key in wanted:
            stretches.append((stretches.pop()[0], key) if previous else (key, key))
        previous = key in wanted
    return stretches


def days_of(tags: Mapping[str, str]) -> str | None:
    """The days of a run by its tags, as `1998-03-02` or `1998-03-02 to 1998-03-06`; None for a run
    that is not of days.
    """
    first = tags.get(RANGE_START) or tags.get("dagster/partition")
    last = tags.get(RANGE_END) or first
    return first if first == last else f"{first} to {last}"


daily = daily_partitions(settings().partition_start, settings().partition_end)


def day_end(day: str) -> int:
    """Seconds since 1970 at which a day (ISO) has ended."""
    following = datetime.combine(date.fromisoformat(day) + timedelta(days=1), time(), UTC)
    return int(following.timestamp())


def days_before(day: str, count: int) -> str:
    """The day (ISO) that is so many days before."""
    return (date.fromisoformat(day) - timedelta(days=count)).isoformat()


def within(days: Iterable[str]) -> list[str]:
    """Take the days (ISO) that are partitions, in the same order."""
    first, last = daily.get_first_partition_key(), daily.get_last_partition_key()
    if first is None or last is None:  # the first day is still to come
        return []
    return [day for day in days if first <= day <= last]


def shortened(days: Sequence[str]) -> str:
    """The first of these days, for a message."""
    return ", ".join(days[:MOST_SHOWN]) + (", …" if len(days) > MOST_SHOWN else "")


def outside_partitions(days: Sequence[str]) -> str:
    """Say that these days (ISO, ascending, at least one) are no partitions, which days are, and
    what to do.
    """
    last = daily.get_last_partition_key() or "none yet"
    to_do = "Else move MOVIEREC_PARTITION_START" + (
        " or _END" if daily.end else "; a day to come is read when it has begun"
    )
    what = "1 delivered day is" if len(days) == 1 else f"{len(days)} delivered days are"
    return (
        f"{what} outside the partitions, which are {daily.start:%Y-%m-%d} to {last}: "
        f"{shortened(days)}. Is a file misnamed? {to_do}"
    )
