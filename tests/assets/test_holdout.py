"""The holdout of each user, and what a twin may start from: as the definitions say, on random
ratings with ties in time.
"""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.models.chain import train
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.ratings.interactions import Interactions
from movierec_assets.training.als import ALS
from movierec_assets.training.day import nested, train_day
from movierec_assets.training.plan import Fit, Recipe
from movierec_assets.training.trainer import Arrays
from movierec_serving.bundle import BundleContent
from tests.support.models import SMALL


def interactions(seed: int, users: int = 40, movies: int = 30) -> Interactions:
    """Some users have one rating, some all; most times are somebody's twice."""
    random = np.random.default_rng(seed)
    rated = random.random((users, movies)) < random.random((users, 1))
    rated[:, 0] = True
    user_rows, movie_rows = (rows.astype(np.int32) for rows in np.nonzero(rated))
    return Interactions(
        tuple(f"u{user:02}" for user in range(users)),
        tuple(f"m{movie:02}" for movie in range(movies)),
        user_rows,
        movie_rows,
        random.integers(1, 11, len(user_rows)).astype(np.float32) / 2,
        random.integers(0, 9, len(user_rows)),
    )


def pairs(data: Interactions) -> set[tuple[str, str]]:
    rows = zip(data.users.tolist(), data.movies.tolist(), strict=True)
    return {(data.user_ids[user], data.movie_ids[movie]) for user, movie in rows}


@pytest.mark.parametrize("seed", range(10))
def test_a_holdout_is_each_users_last_ratings_by_time_then_movie(seed: int) -> None:
    data = interactions(seed)
    wanted = set()
    for user in range(len(data.user_ids)):
        own = np.flatnonzero(data.users == user).tolist()
        last = min(int(len(own) * 0.2), max(len(own) - 5, 0))
        in_time = sorted(own, key=lambda at: (data.rated_at[at], data.movies[at]))
        wanted.update(in_time[len(own) - last :])
    assert set(np.flatnonzero(temporal_holdout(data)).tolist()) == wanted


@pytest.mark.parametrize("change", ["none", "more", "fewer", "other", "both", "a user", "a movie"])
@pytest.mark.parametrize("seed", range(5))
def test_a_twin_is_nested_where_each_of_its_pairs_is_kept(seed: int, change: str) -> None:
    data, random = interactions(seed), np.random.default_rng(seed)
    kept = random.random(len(data)) < 0.8
    before = kept.copy()
    out, rest = np.flatnonzero(kept), np.flatnonzero(~kept)
    match change:
        case "more":  # than some users had before
            before[random.choice(out, 9, replace=False)] = False
        case "fewer":
            before[rest[0]] = True
        case "other" | "both":  # as many as before, or one more
            before[rest[0]] = True
            own = out[data.users[out] == data.users[rest[0]]]
            before[own[: 1 if change == "other" else 2]] = False
        case "a user":
            before[data.users == 3] = False
        case "a movie":
            before[data.movies == 0] = False
    twin = train(data.select(before), SMALL)
    assert (pairs(data.select(before)) <= pairs(data.select(kept))) == nested(twin, data, kept)
    assert nested(twin, data, kept) == (change not in ("fewer", "other", "both"))


def test_a_twin_is_written_and_let_go_before_the_served_model_is_fitted() -> None:
    written: list[weakref.ref[BundleContent]] = []
    there: list[list[bool]] = []

    def fit(*given: Any) -> Arrays:
        there.append([content() is not None for content in written])
        return ALS.fit(*given)

    recipe = Recipe("als", replace(ALS, fit=fit), SMALL, 0)
    plan = Fit("1998-03-04", recipe, [("1998-03-04", "version")])
    train_day(plan, interactions(0), None, lambda twin: written.append(weakref.ref(twin.content)))
    assert there == [[], [False]]
