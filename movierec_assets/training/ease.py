"""EASE: every movie's weight for every other one, in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import inv

from movierec_assets.training.factors import Factors
from movierec_assets.training.interactions import Interactions

MAX_MOVIES = 10_000  # the inverse of a (I, I) matrix of float64: 0.8 GB, and some minutes
MAX_CELLS = 250_000_000  # of the (U, I) matrix of ratings: 1 GB


class TooManyMoviesError(ValueError):
    """A model of pairs of movies does not fit into memory."""


def fit(data: Interactions, weights: NDArray[np.float32], parameters: Mapping[str, Any], _: int) -> Factors:
    """Steck (2019), "Embarrassingly Shallow Autoencoders for Sparse Data": B = I - P / diag(P), P = (X'X + L2)^-1.

    Args:
        weights: (N,) entries of X.
        parameters: regularization, the L2.

    Raises:
        TooManyMoviesError: more than `MAX_MOVIES`, or too many users for them.
    """
    limited(data)
    matrix = data.matrix(weights)
    gram = (matrix.T @ matrix).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += parameters["regularization"]
    inverse = inv(gram, overwrite_a=True, assume_a="pos")
    similarity = inverse / -np.diag(inverse)
    np.fill_diagonal(similarity, 0)
    return of_pairs(data, weights, similarity)


def limited(data: Interactions) -> None:
    """Raises TooManyMoviesError if a number for each pair of movies, or of user and movie, is too many."""
    users, movies = len(data.user_ids), len(data.movie_ids)
    if movies > MAX_MOVIES or users * movies > MAX_CELLS:
        raise TooManyMoviesError(
            f"{movies:,} movies and {users:,} users: a model of pairs of movies takes at most {MAX_MOVIES:,} movies, "
            f"and {MAX_CELLS:,} pairs of user and movie"
        )


def of_pairs(
    data: Interactions, weights: NDArray[np.float32], similarity: NDArray[np.floating[Any]]
) -> Factors:
    """Scores X B as factors: a user's are what they rated, a movie's its column of B (I, I)."""
    movies = np.ascontiguousarray(similarity.T, np.float32)
    return Factors(data.user_ids, data.movie_ids, data.matrix(weights).toarray(), movies)
