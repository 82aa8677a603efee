"""Delivered events outlive the disk, as they were delivered: no second time, and none less."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from movierec_assets.cli.app import app
from movierec_assets.errors import RecoveryError
from movierec_assets.resources.stores.kept_events import KeptEvents
from movierec_assets.settings import settings
from movierec_serving.events import Event, KeptEvent
from tests.conftest import Platform
from tests.support.generate import day_start, days_from

FIRST, SECOND, THIRD = days_from("1998-03-30", 3)
STAGES = ("collected_events", "raw_ratings", "validated_ratings")
LEDGER = "SELECT * EXCLUDE (received_at) FROM chunks ORDER BY ALL"


def did(user: str, movie: str, day: str, type_: str = "like") -> Event:
    return Event.of(user, movie, type_, timestamp=day_start(day) + 43_200)


def keep(platform: Platform, day: str, *events: Event) -> None:
    """Keep events as if they had come at noon of the day."""
    store = platform.wired.event_log.store
    store._clock = lambda: day_start(day) + 43_200
    store.append(events)
    store.close()


def kept(platform: Platform) -> dict[str, list[KeptEvent]]:
    store = platform.wired.event_log.store
    return {day: store.day(day) for day in (FIRST, SECOND, THIRD)}


def movierec(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "300"})


def test_a_home_that_lost_its_disk_has_each_delivered_event_in_the_chunk_that_had_it(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_RELOAD_TOKEN", "a token")
    keep(platform, FIRST, did("a", "m1", FIRST), regretted := did("a", "m2", FIRST))
    assert platform.run(FIRST, None, *STAGES).success  # before there is a store
    monkeypatch.setenv("MOVIEREC_STORE", str(platform.home / "mounted"))
    settings.cache_clear()
    keep(platform, SECOND, did("b", "m1", SECOND), did("b", "m2", SECOND, "click"))
    platform.wired.event_log.store.remove(regretted.event_id)
    assert platform.run(FIRST, SECOND, *STAGES).success
    before, ledger = kept(platform), platform.query(LEDGER)
    assert [len(events) for events in before.values()] == [2, 2, 0]
    keep(platform, THIRD, did("c", "m1", THIRD))  # not delivered yet: only here

    for store in ("events", "landing", "chunks", "sources"):
        shutil.rmtree(platform.root / store)
    (platform.root / "movierec.duckdb").unlink()
    assert f"events/delivered/{FIRST}.csv, events/delivered/{SECOND}.csv" in (
        movierec("recover").output
    )
    assert "events put back: 4" in movierec("recover", "--apply").output
    assert kept(platform) == before
    assert platform.query(LEDGER) == ledger
    assert movierec("recover").output == "nothing is lost\n"
    keep(platform, THIRD, did("a", "m1", FIRST))  # a client that sends again what it has sent
    for _ in range(2):
        assert platform.run(FIRST, SECOND, *STAGES).success
    assert kept(platform) == before
    assert platform.query(LEDGER) == ledger


def test_a_database_of_events_that_was_lost_is_named_and_filled_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_STORE", str(platform.home / "mounted"))
    settings.cache_clear()
    keep(platform, FIRST, did("a", "m1", FIRST))
    assert platform.run(FIRST, None, *STAGES).success
    before = kept(platform)
    for file in (platform.root / "events").glob("events.db*"):
        file.unlink()
    assert f"lacks what was delivered of 1 days, {FIRST}" in movierec("status").output
    movierec("recover", "--apply")
    (event,) = kept(platform)[FIRST]
    assert event == before[FIRST][0]._replace(data_version=None)  # no model is known to have it


def test_events_that_were_kept_long_enough_leave_the_store_of_objects_too(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_STORE", str(platform.home / "mounted"))
    monkeypatch.setenv("MOVIEREC_KEEP_EVENTS_DAYS", "2")
    settings.cache_clear()
    last = days_from(FIRST, 5)[-1]
    keep(platform, FIRST, did("a", "m1", FIRST))
    assert platform.run(FIRST, None, "collected_events").success
    assert set(shared(platform)) == {f"events/delivered/{FIRST}.csv", "sources/events.toml"}
    assert platform.run(last, None, "collected_events").success
    assert set(shared(platform)) == {"sources/events.toml"}
    assert platform.wired.home_files.events.days() == []


def shared(platform: Platform) -> list[str]:
    files = platform.wired.home_files.shared
    assert files is not None
    return sorted(files.contents().files)


def test_a_file_has_what_an_event_says_whatever_is_in_its_ids(tmp_path: Path) -> None:
    odd = ('"', ",", "\n", "\r", "\r\n", "ü", " ", "=1+1", "\0", "\u2028")
    said = [
        KeptEvent(Event.of(f"a{sign}", sign, "rating", 3.1, timestamp=7), 9, sign == ",", FIRST)
        for sign in odd
    ]
    files = KeptEvents(tmp_path)
    files.write(FIRST, said)
    assert files.read(FIRST) == said
    files.path(FIRST).write_text("event_id,user_id\nx\n")
    with pytest.raises(RecoveryError, match=rf"{FIRST}\.csv is damaged"):
        files.read(FIRST)
