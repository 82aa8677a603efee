"""The one partitioning: a UTC day."""

from __future__ import annotations

from datetime import date, timedelta

import dagster as dg

from movierec_assets.settings import settings


def daily_partitions(start: date, end: date | None) -> dg.DailyPartitionsDefinition:
    """Days from `start` to `end`, both included; without an end, up to and including today."""
    if end is None:
        return dg.DailyPartitionsDefinition(start_date=start.isoformat(), timezone="UTC", end_offset=1)
    exclusive = (end + timedelta(days=1)).isoformat()  # Dagster's end_date is exclusive
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_date=exclusive, timezone="UTC")


daily = daily_partitions(settings().partition_start, settings().partition_end)
