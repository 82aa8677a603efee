"""What every trainer must do, and what each one is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.models.chain import PARAMETERS
from movierec_assets.errors import TooManyMoviesError
from movierec_assets.evaluation.offline import evaluate
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.ratings.interactions import Interactions, confidence
from movierec_assets.training import als
from movierec_assets.training.factors import Factors, content, in_memory
from movierec_assets.training.trainers import MAX_MOVIES, TRAINERS, ease
from movierec_serving.bundle import Bundle, write_bundle
from tests.support.models import SMALL, interactions_of_tastes

UNTIL = "1998-03-04"


def fitted(name: str, data: Interactions, seed: int = 0) -> tuple[Factors, Bundle]:
    parameters = {**PARAMETERS, "factors": 16, **TRAINERS[name].parameters}
    weights = confidence(data, UNTIL, parameters)
    factors = TRAINERS[name].fit(data, weights, parameters, seed)
    return factors, in_memory(content(data, weights, factors), parameters)


@pytest.fixture(scope="module")
def split() -> tuple[Interactions, Interactions]:
    data = interactions_of_tastes()
    held = temporal_holdout(data)
    return data.select(~held), data.select(held)


@pytest.mark.parametrize("name", TRAINERS)
class TestEveryTrainer:
    def test_gives_finite_factors_in_the_rows_of_the_ids(
        self, name: str, split: tuple[Interactions, Interactions]
    ) -> None:
        factors, _ = fitted(name, split[0])
        assert (factors.user_ids, factors.movie_ids) == (split[0].user_ids, split[0].movie_ids)
        assert factors.users.shape[0] == len(factors.user_ids)
        assert factors.movies.shape == (len(factors.movie_ids), factors.users.shape[1])
        assert factors.users.dtype == factors.movies.dtype == np.float32
        assert np.isfinite(factors.users).all()
        assert np.isfinite(factors.movies).all()

    def test_gives_the_same_bits_again_and_leaves_its_input(
        self, name: str, split: tuple[Interactions, Interactions]
    ) -> None:
        data = replace(split[0], ratings=split[0].ratings.copy())
        before = data.matrix(data.ratings).copy()
        one, two = fitted(name, data)[0], fitted(name, data)[0]
        assert np.array_equal(one.users, two.users)
        assert np.array_equal(one.movies, two.movies)
        assert np.array_equal(data.ratings, split[0].ratings)
        assert (
            data.matrix(data.ratings) != before
        ).nnz == 0  # its indices are shared by all matrices

    def test_is_evaluated_as_the_others_and_beats_chance(
        self, name: str, split: tuple[Interactions, Interactions]
    ) -> None:
        training, held = split
        model = fitted(name, training)[1]
        shuffled = np.random.default_rng(0).permutation(len(training.movie_ids))
        chance = evaluate(replace(model, item_factors=model.item_factors[shuffled]), held)
        found = evaluate(model, held)
        assert found.metrics["users"] == chance.metrics["users"]
        if name == "popularity":
            assert found.metrics["ndcg_at_10"] == found.metrics["popularity_ndcg_at_10"]
        else:
            assert found.metrics["ndcg_at_10"] > 1.5 * chance.metrics["ndcg_at_10"]
            assert found.metrics["ndcg_at_10"] > found.metrics["popularity_ndcg_at_10"]

    def test_writes_a_bundle_that_serving_reads(
        self, name: str, split: tuple[Interactions, Interactions], tmp_path
    ) -> None:  # type: ignore[no-untyped-def]
        factors, model = fitted(name, split[0])
        weights = model.seen_confidence
        assert len(weights) == len(split[0])
        write_bundle(
            tmp_path / "bundle",
            content(split[0], confidence(split[0], UNTIL, model.manifest.parameters), factors),
            identity="one",
            data_until=UNTIL,
            parent=None,
            fit="cold",
            seed=0,
            parameters=model.manifest.parameters,
            partitions=[],
            partitions_digest="",
            training_version="",
            libraries={},
            blas="",
        )
        assert (
            Bundle.open(tmp_path / "bundle", verify=True).item_factors.shape == factors.movies.shape
        )


def test_ease_is_the_closed_form_worked_by_hand() -> None:
    """Both of two users rated both movies, L2 1: X'X + 1 = [[3, 2], [2, 3]], P = [[3, -2], [-2, 3]]
    / 5, B = 2/3.
    """
    data = Interactions(
        ("a", "b"),
        ("x", "y"),
        np.array([0, 0, 1, 1], np.int32),
        np.array([0, 1, 0, 1], np.int32),
        np.full(4, 5, np.float32),
        np.arange(4),
    )
    factors = ease(data, np.ones(4, np.float32), {"regularization": 1.0}, 0)
    assert factors.users @ factors.movies.T == pytest.approx(np.full((2, 2), 2 / 3))


@pytest.mark.parametrize("name", ["EASE", "item-kNN"])
def test_a_model_of_pairs_of_movies_refuses_more_than_fit(name: str) -> None:
    data = replace(
        interactions_of_tastes(1), movie_ids=tuple(f"m{n:05d}" for n in range(MAX_MOVIES + 1))
    )
    with pytest.raises(TooManyMoviesError, match="10,001 movies"):
        fitted(name, data)


def test_the_loss_is_hu_koren_and_volinskys() -> None:
    data = interactions_of_tastes(1)
    weights = confidence(data, UNTIL, SMALL)
    factors = als.fit(data, weights, SMALL, 0)
    c, p = (
        np.ones((len(data.user_ids), len(data.movie_ids))),
        np.zeros((len(data.user_ids), len(data.movie_ids))),
    )
    c[data.users, data.movies], p[data.users, data.movies] = weights, 1
    error = float((c * (p - factors.users @ factors.movies.T) ** 2).sum())
    norms = float((factors.users**2).sum() + (factors.movies**2).sum())
    found = als.loss(data, weights, factors, SMALL["regularization"])
    assert found * c.sum() == pytest.approx(error + SMALL["regularization"] * norms, rel=1e-3)


@pytest.mark.parametrize(
    ("weighting", "expected"),
    [
        ("ones", [1, 1, 1]),
        ("rating", [1, 4, 5]),
        ("power:2", [0.04, 0.64, 1]),
        ("positives", [0, 1, 1]),
    ],
)
def test_weightings_by_hand(weighting: str, expected: list[float]) -> None:
    stars = np.array([1, 4, 5], np.float32)
    data = Interactions(
        ("a",),
        ("x", "y", "z"),
        np.zeros(3, np.int32),
        np.arange(3, dtype=np.int32),
        stars,
        np.zeros(3),
    )
    parameters = {"alpha": 2.0, "weighting": weighting, "half_life_days": None}
    assert confidence(data, UNTIL, parameters) == pytest.approx(2 * np.array(expected))


def test_what_a_half_life_old_has_half_its_confidence() -> None:
    data = interactions_of_tastes(1)
    now = {"alpha": 1.0, "weighting": "rating", "half_life_days": None}
    whole, half = (
        confidence(data, UNTIL, now),
        confidence(data, "1998-03-01", {**now, "half_life_days": 1.0}),
    )
    ages = (
        np.datetime64("1998-03-02").astype("datetime64[s]").astype(int) - data.rated_at
    ) / 86_400
    assert half == pytest.approx(whole * 0.5**ages)
