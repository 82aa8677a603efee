"""The algorithms, in one table: ALS is what is served, the others say where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import inv

from movierec_assets.errors import TooManyMoviesError
from movierec_assets.ratings.interactions import Interactions
from movierec_assets.training import als
from movierec_assets.training.factors import Factors

MAX_MOVIES = 10_000  # the inverse of a (I, I) matrix of float64: 0.8 GB, and some minutes
MAX_CELLS = 250_000_000  # of the (U, I) matrix of ratings: 1 GB
NEIGHBOURS = 100  # of each movie, in item-kNN

Weights = NDArray[np.float32]  # (N,) confidences of the interactions
Parameters = Mapping[str, Any]


def popularity(data: Interactions, _: Weights, __: Parameters, ___: int) -> Factors:
    """The same list for everybody. One factor: a movie's number of ratings, and 1 for each user."""
    users = np.ones((len(data.user_ids), 1), np.float32)
    return Factors(data.user_ids, data.movie_ids, users, data.popularity().reshape(-1, 1))


def bpr(data: Interactions, weights: Weights, parameters: Parameters, seed: int) -> Factors:
    """Rendle et al. (2009), "BPR: Bayesian Personalized Ranking from Implicit Feedback";
    implicit's, one thread.

    It sees who rated what and not how well: pairs of weight 0 are left out. The last factor is the
    movie's bias.
    """
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    chosen = {name: parameters[name] for name in ("factors", "regularization", "iterations")}
    model = BayesianPersonalizedRanking(
        **chosen, random_state=seed, num_threads=1
    )  # more race for the factors
    matrix = data.matrix(weights)
    matrix.eliminate_zeros()
    model.fit(matrix, show_progress=False)
    return Factors(data.user_ids, data.movie_ids, model.user_factors, model.item_factors)


def ease(data: Interactions, weights: Weights, parameters: Parameters, _: int) -> Factors:
    """Steck (2019), "Embarrassingly Shallow Autoencoders for Sparse Data": B = I - P / diag(P), P =
    (X'X + L2)^-1.

    The weights are the entries of X.

    Raises:
        TooManyMoviesError: more than `MAX_MOVIES`, or too many users for them.
    """
    _check_size(data)
    matrix = data.matrix(weights)
    gram = (matrix.T @ matrix).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += parameters["regularization"]
    inverse = inv(gram, overwrite_a=True, assume_a="pos")
    similarity = inverse / -np.diag(inverse)
    np.fill_diagonal(similarity, 0)
    return _of_pairs(data, weights, similarity)


def item_knn(data: Interactions, weights: Weights, _: Parameters, __: int) -> Factors:
    """Sarwar et al. (2001), "Item-Based Collaborative Filtering": cosine similarity, the nearest
    alone; implicit's.

    Raises:
        TooManyMoviesError: as `ease`; the neighbours themselves are few, their matrix here is
        dense.
    """
    from implicit.nearest_neighbours import ItemItemRecommender, normalize

    _check_size(data)
    model = ItemItemRecommender(K=NEIGHBOURS, num_threads=1)
    model.fit(normalize(data.matrix(weights).T).T.tocsr(), show_progress=False)
    return _of_pairs(data, weights, model.similarity.toarray())


def _check_size(data: Interactions) -> None:
    users, movies = len(data.user_ids), len(data.movie_ids)
    if movies > MAX_MOVIES or users * movies > MAX_CELLS:
        raise TooManyMoviesError(
            f"{movies:,} movies and {users:,} users: a model of pairs of movies takes at most "
            f"{MAX_MOVIES:,} movies, "
            f"and {MAX_CELLS:,} pairs of user and movie"
        )


def _of_pairs(
    data: Interactions, weights: Weights, similarity: NDArray[np.floating[Any]]
) -> Factors:
    """Scores X B as factors: a user's are what they rated, a movie's its column of B (I, I)."""
    movies = np.ascontiguousarray(similarity.T, np.float32)
    return Factors(data.user_ids, data.movie_ids, data.matrix(weights).toarray(), movies)


class Fit(Protocol):
    """The same bits each time."""

    def __call__(
        self, data: Interactions, weights: Weights, parameters: Parameters, seed: int, /
    ) -> Factors: ...


@dataclass(frozen=True)
class Trainer:
    """How an algorithm is fitted, and the parameters in which it differs from the settings."""

    fit: Fit
    parameters: Parameters = field(default_factory=dict)


TRAINERS: Mapping[str, Trainer] = {
    "ALS": Trainer(als.fit),
    "EASE": Trainer(ease, {"regularization": 100.0, "alpha": 1.0, "weighting": "power:2"}),
    "item-kNN": Trainer(item_knn, {"alpha": 1.0, "weighting": "power:2"}),
    "BPR": Trainer(bpr, {"regularization": 0.01, "iterations": 100, "weighting": "positives"}),
    "popularity": Trainer(popularity),
}
