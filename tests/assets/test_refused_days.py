"""Days that are refused, in real runs: kept, in sight until they are mended, and not trained on."""

from __future__ import annotations

import pytest

from movierec_assets.settings import settings
from tests.conftest import Platform
from tests.support.generate import as_csv, days_from, ratings_of_day

DAYS = days_from("1998-03-28", 8)

BAD_CHUNKS = {
    "missing column": (b"user_id,movie_id,rating\n1,2,3\n", "timestamp"),
    "torn": (as_csv(ratings_of_day(DAYS[2]))[:-3], "newline"),
    "not UTF-8": (as_csv(ratings_of_day(DAYS[2])) + b"\xff,1,2,3\n", "line 402"),
    "zero bytes": (b"", "zero bytes"),
}


@pytest.mark.parametrize("kind", BAD_CHUNKS)
def test_an_unreadable_chunk_refuses_its_day_and_the_range_goes_on(
    platform: Platform, kind: str
) -> None:
    content, cause = BAD_CHUNKS[kind]
    platform.deliver(*DAYS[:2], DAYS[3])
    platform.landing_zone.deliver(DAYS[2], content)
    result = platform.run(DAYS[0], DAYS[3])
    assert result.success
    (chunk,) = platform.warehouse.chunks([DAYS[2]])[DAYS[2]]
    assert (chunk.verdict, chunk.current) == ("refused", False)
    assert DAYS[2] in chunk.reason
    assert cause in chunk.reason
    (check,) = [
        one for one in result.get_asset_check_evaluations() if one.check_name == "chunks_readable"
    ]
    assert not check.passed
    assert DAYS[2] in (check.description or "")
    assert platform.model_registry.production().data_until == DAYS[3]
    assert platform.warehouse.models()[DAYS[2]].fit == "inherited"


def test_a_day_with_too_many_bad_rows_is_refused_and_kept_visible(platform: Platform) -> None:
    rows = ratings_of_day(DAYS[1])
    for row in rows[::5]:
        row[2] = "6"
    platform.deliver(DAYS[0], DAYS[2])
    platform.landing_zone.deliver(DAYS[1], as_csv(rows))
    assert platform.run(DAYS[0], DAYS[2]).success
    (run,) = platform.instance.get_runs(limit=1)
    assert run.tags["movierec/refused"] == DAYS[1]  # the run succeeds, and shows it all the same
    (chunk,) = platform.warehouse.chunks([DAYS[1]])[DAYS[1]]
    assert (chunk.verdict, chunk.rows, chunk.validated, chunk.rejected) == ("refused", 400, 320, 80)
    assert "80 of 400" in chunk.reason
    assert platform.query(f"SELECT count(*) FROM rejected_ratings WHERE day = '{DAYS[1]}'") == [
        (80,)
    ]
    partitions = platform.warehouse.partitions(DAYS[2], None)
    assert [day for day, _ in partitions] == [DAYS[0], DAYS[2]]


def test_a_refused_day_stays_in_sight_until_it_is_mended(platform: Platform) -> None:
    platform.landing_zone.deliver(DAYS[0], b"")
    platform.deliver(DAYS[1])

    def check(day: str) -> tuple[bool, str]:
        found = platform.run(day, None, "raw_ratings").get_asset_check_evaluations()[0]
        return found.passed, found.severity.value

    assert check(DAYS[0]) == (False, "ERROR")
    assert check(DAYS[1]) == (False, "WARN")
    platform.deliver(DAYS[0])
    assert check(DAYS[0])[0]


def test_the_good_file_again_mends_a_day_whose_newer_one_was_unreadable(platform: Platform) -> None:
    platform.deliver(DAYS[0])
    for content in (as_csv(ratings_of_day(DAYS[0])), b"torn", as_csv(ratings_of_day(DAYS[0]))):
        platform.landing_zone.deliver(DAYS[0], content)
        found = platform.run(DAYS[0], None, "raw_ratings").get_asset_check_evaluations()[0]
    assert found.passed
    assert platform.warehouse.refused(unreadable=True) == {}


def test_rows_delivered_twice_over_are_superseded(platform: Platform) -> None:
    rows = ratings_of_day(DAYS[0])
    platform.landing_zone.deliver(DAYS[0], as_csv(rows + rows))
    platform.run(DAYS[0], None, "raw_ratings", "validated_ratings")
    assert platform.query("SELECT rows, validated, superseded FROM chunks") == [(800, 400, 400)]
    assert platform.query("SELECT count(*) FROM superseded_ratings") == [(400,)]


def test_a_changed_limit_judges_a_day_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ratings_of_day(DAYS[0])
    rows[0][2] = "6"
    platform.landing_zone.deliver(DAYS[0], as_csv(rows))
    platform.run(DAYS[0], None, "raw_ratings", "validated_ratings")
    assert platform.query("SELECT verdict FROM chunks") == [("accepted",)]
    monkeypatch.setenv("MOVIEREC_MAX_REJECTED_SHARE", "0")
    settings.cache_clear()
    platform.run(DAYS[0], None, "raw_ratings", "validated_ratings")
    assert platform.query("SELECT verdict FROM chunks") == [("refused",)]
