"""What every trainer must do, and what each one is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from bench.models.chain import defaults
from bench.models.trainers import CONTENDERS
from movierec_assets.errors import SparkError, TooManyMoviesError
from movierec_assets.evaluation.metrics import LONGEST
from movierec_assets.evaluation.offline import evaluate
from movierec_assets.evaluation.splits import sample, temporal_holdout
from movierec_assets.ratings.interactions import Interactions, confidence
from movierec_assets.settings import Settings
from movierec_assets.settings.training import OF_TRAINING, Arm
from movierec_assets.training import als, ease
from movierec_assets.training.als import ALS
from movierec_assets.training.trainer import Trainer, fitted
from movierec_assets.training.trainers import TRAINERS
from movierec_serving.bundle import (
    FAMILIES,
    Bundle,
    BundleContent,
    Evidence,
    Model,
    Provenance,
    recommend,
    top_items,
    write_bundle,
)
from tests.support import spark_objective
from tests.support.models import SMALL, interactions_of_tastes

UNTIL = "1998-03-04"
HERE = {**TRAINERS, "spark_als": spark_objective.TRAINER}  # Spark's: test_spark.py
EVERY: dict[str, tuple[Trainer, dict[str, Any]]] = {
    **{name: (trainer, defaults(trainer)) for name, trainer in HERE.items()},
    **{
        f"bench: {name}": (contender.trainer, {**defaults(ALS), **contender.parameters})
        for name, contender in CONTENDERS.items()
        if contender.trainer not in TRAINERS.values()
    },
}


def content_of(name: str, data: Interactions, parent: Model | None = None) -> BundleContent:
    trainer, parameters = EVERY[name]
    return fitted(trainer, data, UNTIL, small(parameters), 0, parent)


def small(parameters: dict[str, Any]) -> dict[str, Any]:
    return {**parameters, **({"factors": 16} if "factors" in parameters else {})}


def model_of(name: str, data: Interactions, parent: Model | None = None) -> Model:
    return content_of(name, data, parent).model(small(EVERY[name][1]))


@pytest.fixture(scope="module")
def split() -> tuple[Interactions, Interactions]:
    data = interactions_of_tastes()
    held = temporal_holdout(data)
    return data.select(~held), data.select(held)


@pytest.mark.parametrize("name", EVERY)
class TestEveryTrainer:
    def test_gives_finite_arrays_in_the_rows_of_the_ids(
        self, name: str, split: tuple[Interactions, Interactions]
    ) -> None:
        content = content_of(name, split[0])
        assert (content.user_ids, content.item_ids) == (split[0].user_ids, split[0].movie_ids)
        assert set(content.own) == set(FAMILIES[content.family].layout)
        model = model_of(name, split[0])
        vectors = model.user_vectors(range(len(content.user_ids)))
        assert len(vectors) == len(content.user_ids)
        assert model.item_vectors.shape == (len(content.item_ids), vectors.shape[1])
        for array in content.own.values():
            assert array.dtype == np.float32
            assert np.isfinite(array).all()

    def test_gives_the_same_bits_again_and_leaves_its_input(
        self, name: str, split: tuple[Interactions, Interactions]
    ) -> None:
        data = replace(split[0], ratings=split[0].ratings.copy())
        before = data.matrix(data.ratings).copy()
        first, second = content_of(name, data).own, content_of(name, data).own
        for array, bits in first.items():
            assert np.array_equal(bits, second[array])
        assert np.array_equal(data.ratings, split[0].ratings)
        left = data.matrix(data.ratings)  # its indices are shared by all matrices
        assert (left != before).nnz == 0

    def test_is_evaluated_as_the_others_and_beats_chance(
        self, name: str, split: tuple[Interactions, Interactions]
    ) -> None:
        training, held = split
        model = model_of(name, training)
        other = np.random.default_rng(0).permutation(len(training.movie_ids)).astype(np.int32)
        chance = evaluate(model, held, lambda users: other[recommend(model, users, LONGEST)[0]])
        found = evaluate(model, held)
        assert found.metrics["users"] == chance.metrics["users"]
        if name == "bench: popularity":
            assert found.metrics["ndcg_at_10"] == found.metrics["popularity_ndcg_at_10"]
        else:
            assert found.metrics["ndcg_at_10"] > 1.5 * chance.metrics["ndcg_at_10"]
            assert found.metrics["ndcg_at_10"] > found.metrics["popularity_ndcg_at_10"]

    def test_writes_a_bundle_that_serving_reads(
        self, name: str, split: tuple[Interactions, Interactions], tmp_path: Path
    ) -> None:
        content = content_of(name, split[0])
        assert len(content.seen_confidence) == len(split[0])
        provenance = Provenance(
            identity="one",
            family=content.family,
            data_until=UNTIL,
            parent=None,
            fit="cold",
            seed=0,
            parameters=EVERY[name][1],
            partitions=(),
            partitions_digest="",
            training_version="",
            libraries={},
            blas="",
        )
        write_bundle(tmp_path / "bundle", content, provenance)
        opened = Bundle.open(tmp_path / "bundle", verify=True)
        assert opened.manifest.family == content.family
        assert np.array_equal(opened.item_vectors, model_of(name, split[0]).item_vectors)


def test_a_family_has_one_trainer_whose_parameters_a_policy_may_set() -> None:
    assert get_args(Arm) == tuple(TRAINERS) == tuple(FAMILIES)
    settings = {setting for trainer in TRAINERS.values() for setting in trainer.settings.values()}
    assert settings - {"window_days"} == set(OF_TRAINING) - {"model"}  # the window is everybody's


@pytest.mark.parametrize("name", TRAINERS)
class TestEveryTrainerOfThePipeline:
    def test_is_named_as_its_family_and_its_setting(self, name: str) -> None:
        assert TRAINERS[name].family == name
        assert Settings(model=name).arms[0] == name  # type: ignore[arg-type]
        parameters = TRAINERS[name].parameters(Settings())
        assert TRAINERS[name].sized(parameters, 100_000) == defaults(TRAINERS[name])
        assert set(TRAINERS[name].ranges) < set(parameters)

    def test_starts_from_a_parent_where_it_says_so(
        self, name: str, split: tuple[Interactions, Interactions]
    ) -> None:
        training, _ = split
        cold = model_of(name, training)
        warm = content_of(name, training, cold).own
        same = [np.array_equal(bits, cold.family.arrays[array]) for array, bits in warm.items()]
        assert all(same) != TRAINERS[name].warm

    def test_folds_a_known_user_in_close_to_what_training_says(
        self, name: str, split: tuple[Interactions, Interactions]
    ) -> None:
        model = model_of(name, split[0])
        users = np.arange(0, len(model.user_ids), 5)
        folded = np.array([Evidence.of_user(model, user).vector() for user in users.tolist()])
        seen = [model.seen(user) for user in users.tolist()]
        lists, _ = top_items(model.item_vectors, folded, seen, 10)
        own, _ = recommend(model, users, 10)
        common = [len(np.intersect1d(a, b)) / 10 for a, b in zip(lists, own, strict=True)]
        assert np.mean(common) > 0.9


@pytest.mark.parametrize("name", ["als", "spark_als"])
def test_the_factors_solve_the_equations_of_their_own_objective(name: str) -> None:
    content, parameters = content_of(name, interactions_of_tastes()), small(EVERY[name][1])
    solved = TRAINERS[name].residuals
    assert solved is not None
    found = solved(content.model(parameters))
    assert min(found.users, found.movies) < 0.01
    content.own["user_factors"][:] = content.own["user_factors"][::-1].copy()
    found = solved(content.model(parameters))
    assert min(found.users, found.movies) > 0.1


def test_sparks_own_als_without_spark_says_where_it_is_fitted() -> None:
    data = interactions_of_tastes(1)
    with pytest.raises(SparkError, match="fitted on Spark"):
        fitted(TRAINERS["spark_als"], data, UNTIL, small(EVERY["spark_als"][1]), 0)


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
    weights = ease.fit(data, np.ones(4, np.float32), {"regularization": 1.0})["item_weights"]
    assert weights == pytest.approx(np.array([[0, 2 / 3], [2 / 3, 0]]))


def test_ease_says_what_a_movie_adds_and_not_the_other_way_round() -> None:
    """X has one user of (x, y) and one of y alone, L2 1: X'X + 1 = [[2, 1], [1, 3]], P = [[3, -1],
    [-1, 2]] / 5: y adds 1/3 to x, x adds 1/2 to y.
    """
    data = Interactions(
        ("a", "b"),
        ("x", "y"),
        np.array([0, 0, 1], np.int32),
        np.array([0, 1, 1], np.int32),
        np.full(3, 5, np.float32),
        np.arange(3),
    )
    weights = ease.fit(data, np.ones(3, np.float32), {"regularization": 1.0})["item_weights"]
    assert weights == pytest.approx(np.array([[0, 1 / 3], [1 / 2, 0]]))


@pytest.mark.parametrize("name", ["ease", "bench: item-kNN"])
def test_a_model_of_pairs_of_movies_refuses_more_than_fit(name: str) -> None:
    movies = tuple(f"m{n:05d}" for n in range(ease.MAX_MOVIES + 1))
    with pytest.raises(TooManyMoviesError, match="10,001 movies"):
        content_of(name, replace(interactions_of_tastes(1), movie_ids=movies))


def loss_by_all_pairs(data: Interactions, weights: np.ndarray, model: Model) -> float:
    """The mean of c (p - x'y)^2, and the L2 terms."""
    users, movies = model.family.arrays["user_factors"], model.family.arrays["item_factors"]
    c = np.ones((len(users), len(movies)))
    p = np.zeros_like(c)
    c[data.users, data.movies] = np.abs(weights)
    p[data.users, data.movies] = weights > 0
    error = float((c * (p - users @ movies.T) ** 2).sum())
    norms = float((users**2).sum() + (movies**2).sum())
    return (error + SMALL["regularization"] * norms) / float(c.sum())


def test_the_loss_is_hu_koren_and_volinskys() -> None:
    data = interactions_of_tastes(1)
    weights = confidence(data, UNTIL, SMALL)
    assert (weights < 0).any()  # dislikes: preference 0 with confidence |c|
    model = fitted(ALS, data, UNTIL, SMALL, 0).model(SMALL)
    expected = loss_by_all_pairs(data, weights, model)
    assert als.loss(data, weights, model, SMALL) == pytest.approx(expected, rel=1e-3)


def test_the_loss_of_many_users_is_that_of_a_sample() -> None:
    rng, users = np.random.default_rng(0), 12_000
    data = Interactions(
        tuple(f"{user:05}" for user in range(users)),
        tuple(f"{movie:02}" for movie in range(20)),
        np.repeat(np.arange(users, dtype=np.int32), 2),
        rng.integers([0, 10], [10, 20], size=(users, 2), dtype=np.int32).ravel(),
        (rng.integers(1, 11, size=2 * users) / 2).astype(np.float32),
        np.zeros(2 * users, np.int64),
    )
    weights = confidence(data, UNTIL, SMALL)
    model = fitted(ALS, data, UNTIL, SMALL, 0).model(SMALL)
    found = als.loss(data, weights, model, SMALL)
    assert found == pytest.approx(loss_by_all_pairs(data, weights, model), rel=0.02)
    others = np.full((users, 1), 9, np.float32)
    others[sample(model.user_ids)] = 1
    arrays = {**model.family.arrays, "user_factors": model.family.arrays["user_factors"] * others}
    assert als.loss(data, weights, Model.of("als", arrays, SMALL), SMALL) == found


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
