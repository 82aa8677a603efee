"""Events become a chunk of one more source, each exactly once, and are found again from a model."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from movierec_assets.cli.app import app
from movierec_assets.ratings.collected import chunk_of
from movierec_serving.events import TYPES, Event, KeptEvent
from movierec_serving.events.log import EventLog
from movierec_serving.events.opening import FILE, open_store
from movierec_serving.events.store import EventStore
from tests.conftest import Platform
from tests.support.generate import day_start, days_from

FIRST, SECOND, THIRD = days_from("1998-03-30", 3)
STAGES = ("collected_events", "raw_ratings", "validated_ratings")


def did(user: str, movie: str, at: int, type_: str = "rating", value: float | None = 5.0) -> Event:
    return Event.of(user, movie, type_, value, timestamp=at)


def store_at(home: Path, moment: float) -> EventStore:
    """The store of a home, by a clock that stands."""
    store = open_store(home / "warehouse" / "events")
    store._clock = lambda: moment
    return store


def keep(platform: Platform, day: str, *events: Event) -> None:
    """Keep events as if they had come at noon of the day."""
    store_at(platform.home, day_start(day) + 43_200).append(events)


def delivered(platform: Platform, day: str) -> list[tuple[str, str, str]]:
    _, content = platform.landing_zone.read(day, "events")
    rows = csv.DictReader(io.StringIO(content.decode()))
    return [(row["user_id"], row["movie_id"], row["rating"]) for row in rows]


def test_what_was_done_on_a_day_is_a_chunk_of_it_from_which_the_events_are_found(
    platform: Platform,
) -> None:
    noon = day_start(FIRST) + 43_200
    mine = did("u1", "m70", noon)
    keep(
        platform,
        FIRST,
        mine,
        did("new", "m71", noon, "like", None),
        did("u1", "m2", noon, "click", None),
    )
    platform.deliver(FIRST)
    assert platform.run("-", job="catalogue").success
    assert platform.run(FIRST).success
    assert delivered(platform, FIRST) == [("new", "m71", "5.0"), ("u1", "m70", "5.0")]
    sources = {one.source: one for one in platform.warehouse.chunks()[FIRST]}
    assert sources["events"].current
    found = platform.query("SELECT user_id FROM validated_ratings WHERE source = 'events'")
    assert sorted(found) == [("new",), ("u1",)]
    lineage = CliRunner().invoke(app, ["lineage", "1", "--events"]).stdout
    assert f"event {FIRST}  {mine.event_id}" in lineage
    metadata = platform.events("collected_events")[-1].metadata
    assert (metadata["dagster/row_count"].value, metadata["events"].value) == (2, 3)


def test_each_event_is_in_one_chunk_whatever_comes_late_or_is_run_again(
    platform: Platform,
) -> None:
    noon = day_start(FIRST) + 43_200
    keep(platform, FIRST, did("a", "m1", noon))
    assert platform.run(FIRST, None, *STAGES).success
    before = platform.landing_zone.read(FIRST, "events")
    keep(platform, FIRST, did("b", "m1", noon), did("a", "m1", noon))  # the clock was set back
    keep(platform, SECOND, did("c", "m1", noon + 86_400), did("d", "m1", noon + 2 * 86_400))
    for _ in range(2):
        assert platform.run(FIRST, None, *STAGES).success
    assert platform.landing_zone.read(FIRST, "events") == before
    assert platform.run(SECOND, THIRD, *STAGES).success
    users = [user for day in (FIRST, SECOND, THIRD) for user, _, _ in delivered(platform, day)]
    assert users == ["a", "b", "c", "d"]  # d is of the third day by its own clock


def test_what_is_taken_back_leaves_the_chunk_that_had_it(platform: Platform) -> None:
    noon = day_start(FIRST) + 43_200
    gone, stays = did("a", "m1", noon), did("b", "m1", noon)
    keep(platform, FIRST, gone, stays, did("c", "m5", noon))
    assert platform.run(FIRST, None, *STAGES).success
    store = platform.wired.event_log.store
    assert store.changed_deliveries() == []
    assert store.remove(gone.event_id) == "a"
    platform.wired.event_log.append([did("c", "m5", noon + 86_400, "remove", None)])
    assert store.changed_deliveries() == [FIRST]
    assert platform.run(FIRST, None, *STAGES).success
    assert delivered(platform, FIRST) == [("b", "m1", "5.0")]
    assert platform.query("SELECT user_id FROM validated_ratings") == [("b",)]
    assert store.changed_deliveries() == []


def test_a_day_goes_on_while_the_store_cannot_be_reached(platform: Platform) -> None:
    platform.deliver(FIRST)
    (platform.root / "events").mkdir(parents=True)
    (platform.root / "events" / FILE).write_bytes(b"no database" * 1000)
    done = platform.run(FIRST, None, *STAGES)
    assert done.success
    (check,) = [
        one for one in done.get_asset_check_evaluations() if one.check_name == "events_reached"
    ]
    assert not check.passed
    assert "not a database" in check.description
    assert platform.query("SELECT count(*) FROM validated_ratings") == [(400,)]


def test_an_opinion_counts_more_than_what_was_only_watched_later() -> None:
    kept = [
        KeptEvent(event, 0, False, FIRST)
        for event in (
            did("a", "m1", 10, "dislike", None),
            did("a", "m1", 20, "play", 1.0),
            did("a", "m2", 10, "play", 0.6),
            did("a", "m2", 20, "rating", 1.5),
            did("a", "NULL", 20),
        )
    ]
    collected = chunk_of(kept, FIRST, TYPES)
    rows = [line.split(b",")[:4] for line in collected.content.splitlines()[1:]]
    assert rows == [
        [b"a", b"m1", b"1.0", b"10"],
        [b"a", b"m2", b"3.5", b"10"],
        [b"a", b"m2", b"1.5", b"20"],
    ]
    assert sum(collected.left_out.values()) == 2


def test_accepted_ratings_are_told_to_the_endpoint_and_taken_back_with_their_chunk(
    platform: Platform,
) -> None:
    platform.deliver(FIRST, ratings=100)
    assert platform.run(FIRST, None, *STAGES).success
    log = EventLog(platform.root / "events", platform.root / "sources")
    rated = platform.query("SELECT DISTINCT user_id, movie_id FROM validated_ratings")
    told = {(user, one.movie_id) for user, _ in rated for one in log.store.seen.by(user)}
    assert told == set(rated)
    platform.deliver(FIRST, ratings=50, seed=1)
    assert platform.run(FIRST, None, *STAGES).success
    again = platform.query("SELECT DISTINCT user_id, movie_id FROM validated_ratings")
    assert {(user, one.movie_id) for user, _ in rated for one in log.store.seen.by(user)} <= set(
        again
    )


def test_events_are_kept_for_as_long_as_is_set(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_KEEP_EVENTS_DAYS", "2")
    from movierec_assets.settings import settings

    settings.cache_clear()
    noon = day_start(FIRST) + 43_200
    keep(platform, FIRST, did("a", "m1", noon))
    store_at(platform.home, time.time()).append([did("later", "m1", noon)])
    assert platform.run(FIRST, None, "collected_events").success
    days = days_from(FIRST, 4)
    assert platform.run(days[-1], None, "collected_events").success
    store = platform.wired.event_log.store
    assert store.of_user("a") == []
    assert len(store.of_user("later")) == 1  # no chunk has it yet
