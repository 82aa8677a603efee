"""Late and re-delivered days are asked for without anybody's help."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from movierec_assets.defs.automation import daily_job, every_day, retrain_job, retrain_stale
from movierec_assets.monitoring.missed import missed_days
from tests.conftest import RANGE_END, RANGE_START, Platform
from tests.support.generate import days_from

DAYS = days_from("1998-03-10", 5)
TRAINED = ("raw_ratings", "validated_ratings", "als_model")


@pytest.mark.parametrize(
    ("delivered", "ingested", "modelled", "missed"),
    [
        ("abc", "", "", ""),  # nobody has asked for anything yet
        ("abcd", "bd", "bd", "c"),  # what lies before the first is history
        ("abcd", "abc", "ab", "cd"),
        ("abcde", "abcd", "abcd", ""),  # a day that has not ended is not missed
        ("", "abc", "bc", ""),  # a chain may begin on any day
    ],
)
def test_days_behind_the_first_are_missed(
    delivered: str, ingested: str, modelled: str, missed: str
) -> None:
    assert missed_days(delivered, ingested, modelled, "d") == list(missed)


def tick(platform: Platform, now: datetime) -> list[tuple[str | None, str | None]]:
    """The range of each run that the schedule asks for."""
    context = dg.build_schedule_context(platform.instance, scheduled_execution_time=now)
    zone, warehouse = platform.landing_zone, platform.warehouse
    found: Any = every_day(
        context,
        landing_zone=zone,
        warehouse=warehouse,
        event_log=platform.wired.event_log,
    )
    if isinstance(found, dg.SkipReason):
        return []
    requests = found if isinstance(found, list) else [found]
    keys = [one.partition_key for one in requests]
    return [
        (one.tags.get(RANGE_START, key), one.tags.get(RANGE_END, key))
        for one, key in zip(requests, keys, strict=True)
    ]


def test_a_file_that_came_after_the_schedule_is_caught_up_within_the_hour(
    platform: Platform,
) -> None:
    platform.deliver(DAYS[0])
    platform.run(DAYS[0], None, *TRAINED)
    assert tick(platform, datetime(1998, 3, 12, 0, 30, tzinfo=UTC)) == []  # nothing came
    platform.deliver(DAYS[1])  # at 00:31
    assert tick(platform, datetime(1998, 3, 12, 1, 30, tzinfo=UTC)) == [(DAYS[1], DAYS[1])]
    platform.deliver(DAYS[2])
    assert tick(platform, datetime(1998, 3, 13, 0, 30, tzinfo=UTC)) == [(DAYS[1], DAYS[2])]
    assert platform.run(DAYS[1], DAYS[2], *TRAINED).success
    assert sorted(platform.warehouse.models()) == DAYS[:3]


def test_a_day_that_could_not_be_trained_is_asked_for_again_with_the_late_one(
    platform: Platform,
) -> None:
    platform.deliver(DAYS[0], DAYS[2])
    platform.run(DAYS[0], None, *TRAINED)
    platform.deliver(DAYS[1])
    assert not platform.run(DAYS[2], None, *TRAINED).success  # the late one is not ingested yet
    assert tick(platform, datetime(1998, 3, 13, 9, 30, tzinfo=UTC)) == [(DAYS[1], DAYS[2])]


def test_nothing_is_caught_up_beside_a_run_over_days(platform: Platform) -> None:
    platform.deliver(*DAYS[:3])
    platform.run(DAYS[0], None, *TRAINED)
    job = platform.definitions.resolve_job_def(daily_job.name)
    platform.instance.create_run_for_job(
        job, tags={RANGE_START: DAYS[1], RANGE_END: DAYS[2]}, status=dg.DagsterRunStatus.STARTED
    )
    assert tick(platform, datetime(1998, 3, 13, 0, 30, tzinfo=UTC)) == [(DAYS[2], DAYS[2])]
    assert stale(platform)[0] == []


def test_two_files_of_a_missed_day_are_not_asked_for_every_hour(platform: Platform) -> None:
    platform.deliver(*DAYS[:2])
    platform.run(DAYS[0], None, *TRAINED)
    (platform.root / "landing" / "ratings" / f"{DAYS[1]}.parquet").touch()
    assert tick(platform, datetime(1998, 3, 14, 0, 30, tzinfo=UTC)) == []


def stale(platform: Platform, cursor: str | None = None) -> tuple[list[tuple[str, str]], Any]:
    """The ranges that the sensor asks for, and its cursor."""
    context = dg.build_sensor_context(
        platform.instance, cursor=cursor, definitions=platform.definitions
    )
    found: Any = retrain_stale(
        context, warehouse=platform.warehouse, settings=platform.wired.settings
    )
    if isinstance(found, dg.SkipReason):
        return [], cursor
    tags = [one.tags for one in found.run_requests]
    return [(one[RANGE_START], one[RANGE_END]) for one in tags], found.cursor


def test_a_redelivered_day_leads_to_the_stale_range_once(platform: Platform) -> None:
    platform.deliver(*DAYS[:3])
    platform.run(DAYS[0], DAYS[2], *TRAINED)
    assert stale(platform) == ([], None)
    platform.deliver(DAYS[1], seed=1)
    assert platform.run(DAYS[1], None, "raw_ratings", "validated_ratings").success
    asked, cursor = stale(platform)
    assert asked == [(DAYS[1], DAYS[2])]
    assert stale(platform, cursor) == ([], cursor)
    assert platform.run(DAYS[1], DAYS[2], job=retrain_job.name).success
    assert stale(platform, cursor) == ([], cursor)


def test_retraining_needs_no_file_in_the_landing_zone(platform: Platform) -> None:
    platform.deliver(*DAYS[:2])
    platform.run(DAYS[0], DAYS[1], *TRAINED)
    platform.deliver(DAYS[0], seed=1)
    platform.run(DAYS[0], None, "raw_ratings", "validated_ratings")
    for day in DAYS[:2]:
        platform.landing_zone.find(day).unlink()
    before = platform.warehouse.models()[DAYS[1]].identity
    assert platform.run(DAYS[0], DAYS[1], job=retrain_job.name).success
    assert platform.warehouse.models()[DAYS[1]].identity != before
