"""Real Dagster runs on generated ratings: from the landing zone to production."""

from __future__ import annotations

import hashlib

import dagster as dg
import pytest

from movierec_assets.settings import settings
from tests.conftest import Platform
from tests.support.generate import as_csv, day_start, days_from, ratings_of_day

DAYS = days_from("1998-03-28", 8)  # over the end of a month


def bundle_digests(platform: Platform) -> dict[str, str]:
    """sha256 of the item factors of each served bundle."""
    files = sorted((platform.root / "bundles").glob("*/item_factors.npy"))
    return {file.parent.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_range_of_days_is_ingested_trained_judged_and_promoted(platform: Platform) -> None:
    platform.deliver(*DAYS)
    assert platform.run("-", job="catalogue").success
    assert platform.run(DAYS[0], DAYS[-1]).success
    assert platform.query(
        "SELECT sum(rows), sum(validated + rejected + superseded), count(*) FROM chunks"
    ) == [(3200, 3200, 8)]
    for asset in (
        "raw_ratings",
        "validated_ratings",
        "als_model",
        "registered_model",
        "gate_verdict",
    ):
        assert [event.partition for event in platform.events(asset)] == DAYS
    versions = platform.model_registry.versions()
    assert [one.data_until for one in versions] == DAYS
    assert {one.gate for one in versions} == {"passed"}
    assert platform.model_registry.production().number == versions[-1].number
    assert [one.tags.get("status") for one in versions] == ["archived"] * 7 + ["production"]
    moves = platform.events("production_model")
    assert [event.metadata["version"].value for event in moves] == [8]
    assert moves[0].metadata["from"].value == 0


def test_each_day_of_a_range_has_its_own_metadata(platform: Platform) -> None:
    platform.deliver(DAYS[0], ratings=100)
    platform.deliver(DAYS[1], ratings=150)
    platform.run(DAYS[0], DAYS[1], "raw_ratings", "validated_ratings")
    counts = {
        event.partition: event.metadata["raw"].value
        for event in platform.events("validated_ratings")
    }
    assert counts == {DAYS[0]: 100, DAYS[1]: 150}
    assert "data:image/svg+xml;base64" in str(
        platform.events("validated_ratings")[0].metadata["ratings by stars"].value
    )


def test_running_a_range_twice_makes_nothing_new(platform: Platform) -> None:
    platform.deliver(*DAYS[:3])
    platform.run(DAYS[0], DAYS[2])
    before = (
        bundle_digests(platform),
        platform.query("SELECT * FROM chunks"),
        platform.query("SELECT * FROM day_models"),
    )
    assert platform.run(DAYS[0], DAYS[2]).success
    assert (
        bundle_digests(platform),
        platform.query("SELECT * FROM chunks"),
        platform.query("SELECT * FROM day_models"),
    ) == before
    assert len(platform.model_registry.versions()) == 3
    assert len(platform.events("production_model")) == 1


def test_days_one_by_one_end_in_the_same_state_as_a_range(platform: Platform) -> None:
    platform.deliver(*DAYS)
    for day in DAYS:
        assert platform.run(day).success
    one_by_one = bundle_digests(platform)
    with platform.warehouse.connect() as connection:
        connection.execute("DELETE FROM day_models")
    for folder in ("bundles", "twins"):
        (platform.root / folder).rename(platform.root / f"{folder}-before")
    assert platform.run(DAYS[0], DAYS[-1], "als_model").success
    assert bundle_digests(platform) == one_by_one


def test_a_model_is_warm_from_the_day_before_and_cold_in_a_new_month(platform: Platform) -> None:
    platform.deliver(*DAYS)
    platform.run(DAYS[0], DAYS[-1], "raw_ratings", "validated_ratings", "als_model")
    fits = dict(platform.query("SELECT day::VARCHAR, fit FROM als_model"))
    assert fits == {day: "cold" if day in (DAYS[0], "1998-04-01") else "warm" for day in DAYS}
    models = platform.warehouse.models()
    assert models[DAYS[1]].parent == models[DAYS[0]].identity


def test_a_change_of_parameters_makes_a_new_cold_model(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.deliver(*DAYS[:2])
    platform.run(DAYS[0], DAYS[1])
    monkeypatch.setenv("MOVIEREC_FACTORS", "16")
    settings.cache_clear()
    assert platform.run(DAYS[1]).success
    assert platform.warehouse.models()[DAYS[1]].fit == "cold"
    assert [one.data_until for one in platform.model_registry.versions()] == [
        DAYS[0],
        DAYS[1],
        DAYS[1],
    ]


def test_an_empty_day_has_its_parents_model_and_no_version_of_its_own(platform: Platform) -> None:
    platform.deliver(DAYS[0])
    platform.landing_zone.deliver(DAYS[1], as_csv([]))
    assert platform.run(DAYS[0], DAYS[1]).success
    models = platform.warehouse.models()
    assert models[DAYS[1]].fit == "inherited"
    assert (models[DAYS[1]].identity, models[DAYS[1]].data_until) == (
        models[DAYS[0]].identity,
        DAYS[0],
    )
    assert len(platform.model_registry.versions()) == 1


def test_a_warehouse_without_any_rating_has_no_model_and_no_failure(platform: Platform) -> None:
    platform.landing_zone.deliver(DAYS[0], as_csv([]))
    assert platform.run(DAYS[0]).success
    assert platform.model_registry.versions() == []
    assert platform.events("gate_verdict")[0].metadata["verdict"].value == "insufficient_data"


def failed_days(result: dg.ExecutionResult, asset: str) -> dict[str, str]:
    """The days that a stage says it did not do, each with its cause."""
    records = result.failure_data_for_node(asset).user_failure_data.metadata["failed"].records
    return {record.data["day"]: record.data["cause"] for record in records}


def test_a_day_that_fails_in_a_range_is_named_and_the_others_go_on(platform: Platform) -> None:
    missing, present = DAYS[2], [*DAYS[:2], *DAYS[3:5]]
    platform.deliver(*present)
    result = platform.run(DAYS[0], DAYS[4])
    assert not result.success
    for asset in (
        "raw_ratings",
        "validated_ratings",
        "als_model",
        "registered_model",
        "gate_verdict",
    ):
        assert [event.partition for event in platform.events(asset)] == present
        assert list(failed_days(result, asset)) == [missing]
    assert f"ratings/{missing}.csv" in failed_days(result, "raw_ratings")[missing]
    assert failed_days(result, "gate_verdict")[missing] == "not done by raw_ratings"
    assert platform.model_registry.production().data_until == DAYS[4]
    platform.deliver(missing)
    assert platform.run(DAYS[0], DAYS[4]).success
    assert sorted(platform.warehouse.models()) == DAYS[:5]


def test_a_day_with_two_files_is_refused_alone(platform: Platform) -> None:
    """Which of them counts nobody knows: neither is read, and no later day waits for it."""
    platform.deliver(*DAYS[:3])
    (platform.root / "landing" / "ratings" / f"{DAYS[1]}.parquet").touch()
    result = platform.run(DAYS[0], DAYS[2])
    assert result.success
    (chunk,) = platform.warehouse.chunks([DAYS[1]])[DAYS[1]]
    assert (chunk.verdict, chunk.current) == ("refused", False)
    assert "which of them counts?" in chunk.reason
    assert platform.model_registry.production().data_until == DAYS[2]


def test_a_model_that_fails_stops_those_that_need_it_and_keeps_the_ones_before(
    platform: Platform,
) -> None:
    platform.deliver(*DAYS[:3])
    assert platform.run(DAYS[0]).success
    platform.run(DAYS[1], None, "raw_ratings")
    platform.run(DAYS[2], None, "raw_ratings", "validated_ratings")
    result = platform.run(DAYS[0], DAYS[2], "als_model", "registered_model")
    assert not result.success
    failed = failed_days(result, "als_model")
    assert f"delivered days without a verdict: {DAYS[1]}" in failed[DAYS[1]]
    assert failed[DAYS[2]] == f"not tried, it needs {DAYS[1]}"
    assert failed_days(result, "registered_model") == dict.fromkeys(
        DAYS[1:3], "not done by als_model"
    )
    told = result.failure_data_for_node("registered_model").user_failure_data.description
    assert told.endswith(f"recorded: {DAYS[1]} and 1 more up to {DAYS[2]}: not done by als_model")
    assert {event.partition for event in platform.events("als_model")} == {DAYS[0]}
    assert len(platform.events("registered_model")) == 2


def test_no_model_is_trained_before_the_delivered_days_are_judged(platform: Platform) -> None:
    platform.deliver(*DAYS[:3])
    platform.run(DAYS[0], None, "raw_ratings", "validated_ratings")
    platform.run(DAYS[1], None, "raw_ratings")
    platform.run(DAYS[2], None, "raw_ratings", "validated_ratings")
    result = platform.run(DAYS[2], None, "als_model")
    assert not result.success
    assert DAYS[1] in str(result.failure_data_for_node("als_model").user_failure_data)
    assert platform.warehouse.models() == {}


def test_a_day_does_not_overtake_the_days_before_it_that_another_run_is_about_to_train(
    platform: Platform,
) -> None:
    first, chain, skipped, last = DAYS[4:]  # of one month
    platform.deliver(first, chain, skipped, last)
    platform.run(first, last, "raw_ratings", "validated_ratings")
    assert platform.run(chain, None, "als_model").success  # a chain may begin on any day
    result = platform.run(last, None, "als_model")
    assert f"earlier days without a model: {skipped};" in failed_days(result, "als_model")[last]
    assert platform.run(skipped, last, "als_model").success
    fits = dict(platform.query("SELECT day::VARCHAR, fit FROM als_model"))
    assert fits == {chain: "cold", skipped: "warm", last: "warm"}


def test_other_bytes_for_a_day_make_a_new_chunk_beside_the_old(platform: Platform) -> None:
    platform.deliver(*DAYS[:2])
    platform.run(DAYS[0], DAYS[1])
    before = platform.warehouse.models()
    platform.deliver(DAYS[0], seed=1)
    assert platform.run(DAYS[0], DAYS[1]).success
    assert [one.current for one in platform.warehouse.chunks()[DAYS[0]]] == [False, True]
    after = platform.warehouse.models()
    assert before[DAYS[0]].identity != after[DAYS[0]].identity
    assert before[DAYS[1]].identity != after[DAYS[1]].identity
    for one in platform.warehouse.chunks()[DAYS[0]]:
        assert platform.chunk_archive.read(DAYS[0], one.sha256)


def test_an_unreadable_redelivery_leaves_the_current_chunk(platform: Platform) -> None:
    platform.deliver(DAYS[0])
    platform.run(DAYS[0], None, "raw_ratings", "validated_ratings")
    platform.landing_zone.deliver(DAYS[0], b"user_id\n")
    assert platform.run(DAYS[0], None, "raw_ratings", "validated_ratings").success
    current, refused = platform.warehouse.chunks()[DAYS[0]]
    assert (current.verdict, current.current, refused.verdict, refused.current) == (
        "accepted",
        True,
        "refused",
        False,
    )
    assert platform.query("SELECT count(*) FROM validated_ratings") == [(400,)]


def test_the_bytes_of_an_earlier_chunk_make_it_current_again(platform: Platform) -> None:
    for seed in (0, 1, 0):
        platform.deliver(DAYS[0], seed=seed)
        platform.run(DAYS[0], None, "raw_ratings", "validated_ratings")
    chunks = platform.warehouse.chunks()[DAYS[0]]
    assert sorted((one.current, one.verdict) for one in chunks) == [
        (False, "accepted"),
        (True, "accepted"),
    ]
    (current,) = [one for one in chunks if one.current]
    assert current.sha256 == hashlib.sha256(as_csv(ratings_of_day(DAYS[0]))).hexdigest()


def appended(day: str, nth: int) -> list[list[str]]:
    """A day on which 20 users rate movies that they have not rated before."""
    at = day_start(day)
    return [
        [f"u{u}", f"m{nth * 10 + n}", str(3 + (u + n) % 3), str(at + n)]
        for u in range(20)
        for n in range(8)
    ]


def test_a_twin_starts_from_the_parents_while_history_is_appended(platform: Platform) -> None:
    for nth, day in enumerate(DAYS[:3]):
        platform.landing_zone.deliver(day, as_csv(appended(day, nth)))
    platform.run(DAYS[0], DAYS[2], "raw_ratings", "validated_ratings", "als_model")
    warm = {day: model.metrics["twin_warm"] for day, model in platform.warehouse.models().items()}
    assert warm == {DAYS[0]: 0.0, DAYS[1]: 1.0, DAYS[2]: 1.0}


@pytest.mark.parametrize("change", ["late", "re-rated", "repaired"])
def test_a_twin_is_cold_where_its_parent_has_seen_the_holdout(
    platform: Platform, change: str
) -> None:
    for nth, day in enumerate(DAYS[:2]):
        platform.landing_zone.deliver(day, as_csv(appended(day, nth)))
    platform.run(DAYS[0], DAYS[1], "raw_ratings", "validated_ratings", "als_model")
    today = appended(DAYS[2], 2)
    if change == "re-rated":  # a pair of the parent's training set becomes the user's last one
        today.append(["u0", "m0", "5", str(day_start(DAYS[2]) + 100)])
    if (
        change == "late"
    ):  # the share grows by one, and takes an older rating than the parent's share did
        today = [
            ["u0", "m99", "5", str(day_start(DAYS[2]))],
            ["u1", "m10", "1", str(day_start(DAYS[2]) + 1)],
        ]
    if change == "repaired":  # what the parent was trained on is gone
        platform.landing_zone.deliver(DAYS[0], as_csv(appended(DAYS[0], 0)[:-9]))
    platform.landing_zone.deliver(DAYS[2], as_csv(today))
    platform.run(DAYS[0], DAYS[2], "raw_ratings", "validated_ratings")
    platform.run(DAYS[2], None, "als_model")
    model = platform.warehouse.models()[DAYS[2]]
    assert (model.fit, model.metrics["twin_warm"]) == ("warm", 0.0)


def test_a_window_leaves_older_days_out(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_WINDOW_DAYS", "2")
    settings.cache_clear()
    platform.deliver(*DAYS[:4])
    platform.run(DAYS[0], DAYS[3], "raw_ratings", "validated_ratings", "als_model")
    assert [day for day, _ in platform.warehouse.partitions(DAYS[3], 2)] == DAYS[2:4]
    ratings = platform.warehouse.models()[DAYS[3]].metrics["ratings"]
    assert (
        ratings
        == platform.query(
            "SELECT count(DISTINCT (user_id, movie_id)) FROM validated_ratings WHERE day >= "
            f"'{DAYS[2]}'"
        )[0][0]
    )
