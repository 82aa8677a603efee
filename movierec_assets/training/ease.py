"""EASE: item-item weights in closed form; there is nothing to start from, and nothing random."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from movierec_assets.errors import TooManyMoviesError
from movierec_assets.ratings.interactions import Interactions
from movierec_assets.training.trainer import Arrays, Parameters, Trainer, Weights
from movierec_serving.bundle import Model

MAX_MOVIES = 10_000  # the inverse of a (I, I) matrix of float64: 0.8 GB, and some minutes


def fit(
    data: Interactions,
    weights: Weights,
    parameters: Parameters,
    seed: int = 0,
    parent: Model | None = None,
) -> Arrays:
    """Fit B = I - P / diag(P), P = (X'X + regularization I)^-1; the weights are the entries of X.

    Steck (2019), "Embarrassingly Shallow Autoencoders for Sparse Data". BLAS runs on one thread, so
    that the bits are the same again on the same kernel.

    Raises:
        TooManyMoviesError: more than `MAX_MOVIES`.
    """
    check_size(data)
    matrix = data.matrix(np.maximum(weights, 0))  # a dislike is no vote
    gram = (matrix.T @ matrix).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += parameters["regularization"]
    with threadpool_limits(1, "blas"):
        inverse = np.linalg.inv(gram)
    item_weights = (inverse / -np.diag(inverse)).T
    np.fill_diagonal(item_weights, 0)
    return {"item_weights": np.ascontiguousarray(item_weights, np.float32)}


def check_size(data: Interactions) -> None:
    """Raises TooManyMoviesError where a matrix of pairs of movies does not fit into memory."""
    if len(data.movie_ids) > MAX_MOVIES:
        raise TooManyMoviesError(
            f"{len(data.movie_ids):,} movies: a model of pairs of movies takes at most "
            f"{MAX_MOVIES:,}; set MOVIEREC_MODEL=als, or MOVIEREC_WINDOW_DAYS"
        )


EASE = Trainer(
    family="ease",
    version="1",
    libraries=("numpy", "scipy"),
    settings={
        "regularization": "ease_regularization",
        "weighting": "ease_weighting",
        "dislike_confidence": "dislike_confidence",
        "window_days": "window_days",
        "half_life_days": "half_life_days",
    },
    fit=fit,
    ranges={"regularization": (10.0, 3000.0)},
)
