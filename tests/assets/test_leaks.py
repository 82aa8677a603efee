"""Nothing that comes later reaches a model or a metric: past models stay bit-identical whatever is
delivered.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from movierec_assets.evaluation.offline import evaluate
from movierec_assets.evaluation.splits import temporal_holdout
from tests.conftest import Platform
from tests.support.generate import as_csv, day_start, days_from, ratings_of_day
from tests.support.models import interactions_of_tastes, trained

DAYS = days_from("1998-03-28", 3)
TODAY = DAYS[2]
UP_TO_MODELS = ("raw_ratings", "validated_ratings", "als_model")


def state(platform: Platform, days: list[str]) -> dict[str, object]:
    """Of each day: its model's metrics, and the sha256 of every array of the served bundle and of
    the twin.
    """
    models = platform.warehouse.models(days)
    found: dict[str, object] = {}
    for day, model in models.items():
        files = [
            file
            for folder in (
                platform.bundle_store.served(model.identity),
                platform.bundle_store.twin(model.identity),
            )
            for file in sorted(folder.glob("*.npy"))
        ]
        digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
        found[day] = (model.identity, json.dumps(dict(model.metrics), sort_keys=True), digests)
    return found


def forget_models(platform: Platform) -> None:
    with platform.warehouse.connect() as connection:
        connection.execute("DELETE FROM day_models")
    for folder in ("bundles", "twins"):
        shutil.rmtree(platform.root / folder)


def future(kind: str) -> list[list[str]]:
    """Ratings delivered on the day after the last model's."""
    rows = ratings_of_day(TODAY, ratings=100)
    early = [list(row) for row in ratings_of_day(DAYS[0])]
    if kind == "planted":  # everybody loves one movie, and hates what they will have liked
        rows = [[f"u{user}", "m79", "5", str(day_start(TODAY) + user)] for user in range(60)]
    if kind == "late":
        rows = [
            [user, "m-late", "5", str(day_start(DAYS[0]) + 1)]
            for user in sorted({row[0] for row in early})
        ]
    if kind == "re-rated":
        rows = [[row[0], row[1], "0.5", str(day_start(TODAY) + n)] for n, row in enumerate(early)]
    if kind == "re-rated with an old time":
        rows = [[row[0], row[1], "0.5", row[3]] for row in early]
    return rows


@pytest.mark.parametrize("kind", ["planted", "late", "re-rated", "re-rated with an old time"])
def test_what_is_delivered_later_changes_no_model_of_the_past(
    platform: Platform, kind: str
) -> None:
    platform.deliver(*DAYS[:2])
    assert platform.run(DAYS[0], DAYS[1], *UP_TO_MODELS).success
    before = state(platform, DAYS[:2])
    forget_models(platform)
    platform.landing_zone.deliver(TODAY, as_csv(future(kind)))
    assert platform.run(TODAY, None, "raw_ratings", "validated_ratings").success
    assert platform.run(DAYS[0], DAYS[1], "als_model").success
    assert state(platform, DAYS[:2]) == before


def test_a_repaired_day_leaves_the_models_before_it_and_makes_others_from_it_on(
    platform: Platform,
) -> None:
    platform.deliver(*DAYS)
    assert platform.run(DAYS[0], TODAY, *UP_TO_MODELS).success
    before = state(platform, DAYS)
    kept = {one: platform.bundle_store.served(before[one][0]) / "item_factors.npy" for one in DAYS}
    bytes_before = {day: file.read_bytes() for day, file in kept.items()}
    platform.deliver(DAYS[1], seed=1)
    assert platform.run(DAYS[0], TODAY, *UP_TO_MODELS).success
    after = state(platform, DAYS)
    assert after[DAYS[0]] == before[DAYS[0]]
    assert {after[day][0] for day in DAYS[1:]}.isdisjoint(before[day][0] for day in DAYS)
    assert {day: file.read_bytes() for day, file in kept.items()} == bytes_before


def test_the_stars_of_the_holdout_do_not_reach_the_twin() -> None:
    data = interactions_of_tastes()
    held = temporal_holdout(data)
    stars = data.ratings.copy()
    stars[held] = np.random.default_rng(0).permutation(stars[held])
    other = replace(data, ratings=stars)
    one, two = trained(data.select(~held)), trained(other.select(~held))
    for name in ("user_factors", "item_factors", "popularity", "seen_items"):
        assert np.array_equal(one.family.arrays[name], two.family.arrays[name])


def test_a_signal_planted_in_the_holdout_moves_no_metric() -> None:
    """Movies that everybody will like and nobody has rated yet are no candidates, and no miss
    either.
    """
    data = interactions_of_tastes()
    held = temporal_holdout(data)
    twin = trained(data.select(~held))
    honest = evaluate(twin, data.select(held)).metrics
    users = np.arange(len(data.user_ids), dtype=np.int32)
    planted = replace(
        data,
        movie_ids=(*data.movie_ids, "planted"),
        users=np.concatenate([data.users[held], users]),
        movies=np.concatenate(
            [data.movies[held], np.full(len(users), len(data.movie_ids), np.int32)]
        ),
        ratings=np.concatenate([data.ratings[held], np.full(len(users), 5, np.float32)]),
        rated_at=np.concatenate([data.rated_at[held], np.full(len(users), 2**31)]),
    )
    found = evaluate(twin, planted).metrics
    assert {**found, "holdout_ratings": 0} == {**honest, "holdout_ratings": 0}
