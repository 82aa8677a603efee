"""Spark's own ALS, for those who want only what Spark ships: another objective than implicit's.

Where it is fitted is `resources/spark_driver.py`'s; the driver's program is `spark_own.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from movierec_assets.errors import SparkError
from movierec_assets.ratings.interactions import Interactions
from movierec_assets.training.als import Sides, of_equations, without_noise
from movierec_assets.training.trainer import Arrays, Parameters, Residuals, Trainer, Weights
from movierec_serving.bundle import Model


class Problem(NamedTuple):
    """What is factorised."""

    matrix: sp.csr_matrix  # (U, I) weights
    factors: int
    regularization: float  # of each rating
    iterations: int
    seed: int


Factorize = Callable[[Problem], Sides]


def fit(
    data: Interactions,
    weights: Weights,
    parameters: Parameters,
    seed: int,
    parent: Model | None = None,
    factorize: Factorize | None = None,
) -> Arrays:
    """Factorise by `pyspark.ml.recommendation.ALS`, which solves each row exactly.

    The same seed gives nearly the same factors: Spark adds up what its tasks send in the order in
    which they end.

    Args:
        factorize: where the work is done.

    Raises:
        SparkError: nowhere is said, or it did not end well.
    """
    if factorize is None:
        raise SparkError("spark_als is fitted on Spark, and this has none: set another model")
    return finished(factorize(posed(data, weights, parameters, seed, parent)), data, weights)


def posed(
    data: Interactions, weights: Weights, parameters: Parameters, seed: int, parent: Model | None
) -> Problem:
    """The first part of a fit: what is to be solved. No parent helps."""
    return Problem(
        data.matrix(weights),
        parameters["factors"],
        parameters["regularization"],
        parameters["iterations"],
        seed,
    )


def finished(sides: Sides, data: Interactions, weights: Weights) -> Arrays:
    """The last part of a fit: the family's arrays, of the solution."""
    users, movies = sides
    return without_noise({"user_factors": users, "item_factors": movies}, data, weights)


def residuals(model: Model) -> Residuals:
    """How far the factors are from solving Spark's normal equations for the model's ratings."""
    weights = model.seen_confidence.astype(np.float64)
    praised, penalty = weights > 0, float(model.parameters["regularization"])
    users = np.repeat(np.arange(len(model.user_ids)), np.diff(model.seen_indptr))
    by_user = np.bincount(users[praised], minlength=len(model.user_ids))
    by_movie = np.bincount(model.seen_items[praised], minlength=len(model.item_ids))
    sides = (penalty * by_user).astype(np.float64), (penalty * by_movie).astype(np.float64)
    return of_equations(model, np.abs(weights), np.where(praised, 1.0 + weights, 0.0), sides)


SPARK_ALS = Trainer(
    family="spark_als",
    version="1",
    libraries=("pyspark",),
    settings={
        "factors": "factors",
        "regularization": "spark_als_regularization",
        "alpha": "spark_als_alpha",
        "weighting": "weighting",
        "dislike_confidence": "dislike_confidence",
        "iterations": "iterations",
        "window_days": "window_days",
        "half_life_days": "half_life_days",
    },
    fit=fit,
    residuals=residuals,
    ranges={"factors": (8, 256), "regularization": (0.001, 1.0), "alpha": (0.1, 50.0)},
)
