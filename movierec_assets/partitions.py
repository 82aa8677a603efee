"""The one partitioning: a UTC day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import dagster as dg

from movierec_assets.settings import settings

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def daily_partitions(start: date, end: date | None) -> dg.DailyPartitionsDefinition:
    """Days from `start` to `end`, both included; without an end, up to and including today."""
    if end is None:
        return dg.DailyPartitionsDefinition(
            start_date=start.isoformat(), timezone="UTC", end_offset=1
        )
    exclusive = (end + timedelta(days=1)).isoformat()  # Dagster's end_date is exclusive
    return dg.DailyPartitionsDefinition(
        start_date=start.isoformat(), end_date=exclusive, timezone="UTC"
    )


def contiguous(keys: Sequence[str], chosen: set[str]) -> list[tuple[str, str]]:
    """(first, last) of each unbroken stretch of `keys` that are `chosen`."""
    stretches: list[tuple[str, str]] = []
    previous = False
    for key in keys:
        if key in chosen:
            stretches.append((stretches.pop()[0], key) if previous else (key, key))
        previous = key in chosen
    return stretches


daily = daily_partitions(settings().partition_start, settings().partition_end)
