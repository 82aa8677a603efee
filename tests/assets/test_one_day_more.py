"""A day that begins from the ratings of the day before's model: the same bits, and only where one
day was added.
"""

from __future__ import annotations

import hashlib
import logging
from functools import reduce

import numpy as np
import pandas as pd
import pytest

from movierec_assets.ratings.interactions import Interactions, added, interactions_of
from movierec_serving.bundle import Bundle
from tests.conftest import Platform
from tests.support.generate import days_from

DAYS = days_from("1998-03-28", 5)  # over the end of a month
STAGES = ("raw_ratings", "validated_ratings", "als_model")


def ratings_of(day: str, random: np.random.Generator) -> pd.DataFrame:
    """A day that brings ids between the known ones, rates pairs again, and ties in time."""
    count = 60
    return pd.DataFrame(
        {
            "day": day,
            "record": random.permutation(count),
            "user_id": random.choice([f"u{n}" for n in range(99)] + ["é", "Z"], count),
            "movie_id": random.choice(
                ["m1", "m10", "m2", "ñ", *(f"x{n}" for n in range(9))], count
            ),
            "rating": random.choice([0.5, 3.0, 5.0], count).astype(np.float32),
            "rated_at": random.integers(-2, 2, count),
        }
    )


@pytest.mark.parametrize("seed", range(20))
def test_adding_days_gives_what_all_of_them_give(seed: int) -> None:
    random = np.random.default_rng(seed)
    days = [ratings_of(day, random) for day in DAYS]
    by_day: list[Interactions] = [interactions_of(day) for day in days]
    grown, whole = reduce(added, by_day), interactions_of(pd.concat(days))
    assert len(whole) < sum(map(len, by_day))  # pairs were rated again
    assert grown.same_as(whole)
    assert not grown.same_as(by_day[0])
    assert [values.dtype for values in (grown.users, grown.movies, grown.ratings)] == [
        values.dtype for values in (whole.users, whole.movies, whole.ratings)
    ]


def test_a_day_of_new_users_alone_is_added() -> None:
    days = [ratings_of(day, np.random.default_rng(0)) for day in DAYS[:2]]
    days[1]["user_id"] = "v" + days[1]["user_id"]
    grown = added(*map(interactions_of, days))
    assert grown.same_as(interactions_of(pd.concat(days)))


def digests(platform: Platform) -> dict[str, str]:
    """sha256 of the movies' factors of each model and twin."""
    files = sorted(platform.root.glob("*/*/item_factors.npy"))
    assert files
    return {
        "/".join(file.parts[-3:-1]): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }


def without_times(platform: Platform) -> None:
    for file in platform.root.glob("twins/*/rated_at.json"):
        file.unlink()


def test_a_day_has_the_same_bits_as_started_over_and_reads_only_its_own_ratings(
    platform: Platform,
) -> None:
    platform.deliver(*DAYS)
    for day in DAYS:
        assert platform.run(day, None, *STAGES).success
        without_times(platform)
    over = digests(platform)
    for folder in ("bundles", "twins"):
        (platform.root / folder).rename(platform.home / folder)
    with platform.warehouse.connect() as connection:
        connection.execute("DELETE FROM day_models")
    assert platform.run(DAYS[0], None, "als_model").success
    with platform.warehouse.connect() as connection:
        connection.execute("CREATE TABLE aside AS FROM validated_ratings WHERE day < '1998-03-31'")
        connection.execute("DELETE FROM validated_ratings WHERE day = ?", [DAYS[0]])
    assert platform.run(DAYS[1], DAYS[3], "als_model").success
    with platform.warehouse.connect() as connection:
        connection.execute("INSERT INTO validated_ratings FROM aside WHERE day = ?", [DAYS[0]])
    assert platform.run(DAYS[4], None, "als_model").success
    assert digests(platform) == over


@pytest.mark.parametrize("name", ["twins/*/rated_at.npy", "bundles/*/seen_ratings.npy"])
def test_an_altered_file_is_not_begun_from(platform: Platform, name: str) -> None:
    platform.deliver(*DAYS[:1])
    assert platform.run(DAYS[0], None, *STAGES).success
    model, partitions = platform.warehouse.models()[DAYS[0]], platform.warehouse.partitions
    identity, until = str(model.identity), partitions(DAYS[0], None)
    kept = platform.bundle_store.interactions(identity, until)
    assert kept is not None
    assert kept.same_as(platform.warehouse.interactions(DAYS[0], None))
    (file,) = platform.root.glob(name)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert platform.bundle_store.interactions(identity, until) is None


def test_a_day_that_came_late_is_in_the_next_model(platform: Platform) -> None:
    platform.deliver(DAYS[0], DAYS[2])
    for day in (DAYS[0], DAYS[2]):
        assert platform.run(day, None, *STAGES).success
    platform.deliver(DAYS[1], DAYS[3])
    assert platform.run(DAYS[1], None, *STAGES[:2]).success
    assert platform.run(DAYS[3], None, *STAGES).success
    model = platform.warehouse.models()[DAYS[3]]
    bundle = Bundle.open(platform.bundle_store.served(str(model.identity)))
    assert model.fit == "warm"
    assert len(bundle.seen_items) == platform.warehouse.accepted_pairs(DAYS[3], None)


def test_a_months_first_day_reads_all_and_says_what_adding_got_wrong(platform: Platform) -> None:
    platform.deliver(*DAYS)
    assert platform.run(DAYS[0], DAYS[3], *STAGES).success
    with platform.warehouse.connect() as connection:  # a mistake, of which the ledger knows nothing
        connection.execute("UPDATE validated_ratings SET rating = 1 WHERE day = ?", [DAYS[0]])
    result = platform.run(DAYS[4], None, *STAGES)
    assert result.success
    said = [
        entry.user_message
        for entry in platform.instance.all_logs(result.run_id)
        if entry.level == logging.ERROR and "other ratings" in entry.user_message
    ]
    assert [message.split(":")[0] for message in said] == [DAYS[4]]
    model = platform.warehouse.models()[DAYS[4]]
    bundle = Bundle.open(platform.bundle_store.served(str(model.identity)))
    whole = platform.warehouse.interactions(DAYS[4], None)
    np.testing.assert_array_equal(bundle.seen_ratings, whole.ratings)
