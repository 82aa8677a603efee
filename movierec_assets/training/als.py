"""Implicit ALS, cold or warm, with the same bits from the same inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from movierec_assets.evaluation.offline import encode, rows_of
from movierec_assets.evaluation.splits import sample
from movierec_assets.ratings.interactions import Interactions
from movierec_assets.training.trainer import Arrays, Parameters, Residuals, Trainer, Weights
from movierec_serving.bundle import Model

PARALLEL_FROM = 1_000_000  # interactions; with fewer, threads that wait cost more than they save
Factors = NDArray[np.float32]
Sides = tuple[Factors, Factors]  # of users, of movies
Float64 = NDArray[np.float64]
Sparse = sp.csr_matrix | sp.csc_matrix
INITIAL_SCALE = 0.01  # of random factors, as implicit's own


class Problem(NamedTuple):
    """What is alternated on.

    `users` and `movies` are the factors to start from, which may be changed.
    """

    matrix: sp.csr_matrix  # (U, I) confidences
    users: Factors
    movies: Factors
    regularization: float
    iterations: int


def in_this_process(problem: Problem) -> Sides:
    """Alternate by implicit, on all cores where that pays."""
    from implicit.cpu.als import AlternatingLeastSquares

    matrix, users, movies, regularization, iterations = problem
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=users.shape[1],
            regularization=regularization,
            alpha=1.0,
            iterations=iterations,
            num_threads=1 if matrix.nnz < PARALLEL_FROM else 0,  # the bits do not depend on it
        )
        model.user_factors, model.item_factors = users, movies
        model.fit(matrix, show_progress=False)
    return model.user_factors, model.item_factors


def fit(
    data: Interactions,
    weights: Weights,
    parameters: Parameters,
    seed: int,
    parent: Model | None = None,
) -> Arrays:
    """Factorise by alternating least squares, conjugate gradient.

    Hu, Koren & Volinsky (2008), "Collaborative Filtering for Implicit Feedback Datasets"; the
    solver is implicit's. Bits are reproduced on the same BLAS kernel: BLAS runs on one thread (also
    faster), rows are in the order of their ids, indices are sorted, and random rows come from
    `seed` alone.

    Args:
        weights: (N,) confidence of each interaction, negative for a dislike; 0 leaves a pair out,
            as neither liked nor unseen.
        parameters: factors, regularization, iterations (of a cold fit), warm_iterations (of a warm
            one).
        parent: a warm fit starts from its factors, rows mapped by id; rows that it lacks start
            random.

    Raises:
        ValueError: the parent has another number of factors.
    """
    sides = in_this_process(posed(data, weights, parameters, seed, parent))
    return finished(sides, data, weights)


def posed(
    data: Interactions, weights: Weights, parameters: Parameters, seed: int, parent: Model | None
) -> Problem:
    """The first part of a fit: what is to be solved, here or elsewhere; the bits are the same."""
    factors = parameters["factors"]
    random = np.random.default_rng(seed)
    start_users = _random(len(data.user_ids), factors, random)
    start_movies = _random(len(data.movie_ids), factors, random)
    if parent is not None:
        known = parent.family.arrays
        _copy_rows(known["user_factors"], parent.user_ids, data.user_ids, start_users)
        _copy_rows(known["item_factors"], parent.item_ids, data.movie_ids, start_movies)
    return Problem(
        data.matrix(weights, copy=False),
        start_users,
        start_movies,
        parameters["regularization"],
        parameters["iterations" if parent is None else "warm_iterations"],
    )


def finished(sides: Sides, data: Interactions, weights: Weights) -> Arrays:
    """The last part of a fit: the family's arrays, of the solution."""
    arrays = dict(zip(("user_factors", "item_factors"), sides, strict=True))
    return without_noise(arrays, data, weights) if (weights < 0).any() else arrays


def regularization_for(ratings: int) -> float:
    """The regularization for so many ratings: 0.46 x ratings^(1/3).

    Measured on worlds of 500 to 1.3 million ratings and on MovieLens 100k (docs/benchmarks): a
    fixed value that suits many ratings all but wipes out the factors of few, and one that suits few
    lets those of many follow the noise.
    """
    return float(round(0.46 * ratings ** (1 / 3), 2))


def without_noise(arrays: Arrays, data: Interactions, weights: Weights) -> Arrays:
    """Set to zero users who liked nothing, and for movies that nobody liked.

    The solver leaves values of some 1e-12 there. Lists would be ranked by this noise.
    """
    users, movies = np.array(arrays["user_factors"]), np.array(arrays["item_factors"])
    other = weights <= 0  # fewer than praise
    users[np.logical_and.reduceat(other, data.indptr[:-1])] = 0
    movies[np.bincount(data.movies[other], minlength=len(movies)) == data.popularity] = 0
    return {"user_factors": users, "item_factors": movies}


def loss(data: Interactions, weights: Weights, model: Model, parameters: Parameters) -> float:
    """What ALS minimises, a pair of user and movie: the mean of c (p - x'y)^2 over all pairs, and
    the L2 terms.

    By implicit's Gram trick, in the time of the interactions and not of all pairs. As a mean it can
    be compared between days. Of many users it is that of the sample by which models are evaluated.
    """
    from implicit.cpu.als import calculate_loss

    some = sample(model.user_ids)
    users, movies = model.family.arrays["user_factors"][some], model.family.arrays["item_factors"]
    matrix = data.matrix(weights, copy=False)[some]
    with threadpool_limits(1, "blas"):
        mean = float(calculate_loss(matrix, users, movies, 0.0))
    norms = np.vdot(users, users) + np.vdot(movies, movies) * (len(some) / len(model.user_ids))
    # implicit counts the preference of a dislike as 1 there, and as 0 where it fits.
    against = float(np.abs(matrix.data[matrix.data < 0]).sum())
    pairs = len(users) * len(movies) - matrix.nnz + float(np.abs(matrix.data).sum())
    penalty = float(parameters["regularization"] * norms)
    return mean + (penalty - against) / pairs


def residuals(model: Model) -> Residuals:
    """How far the factors are from solving ALS's normal equations for the model's own ratings."""
    confidence = model.seen_confidence.astype(np.float64)
    penalty = float(model.parameters["regularization"])
    sides = np.full(len(model.user_ids), penalty), np.full(len(model.item_ids), penalty)
    return of_equations(model, np.abs(confidence) - 1.0, np.maximum(confidence, 0.0), sides)


def of_equations(
    model: Model, extra: Float64, wanted: Float64, penalties: tuple[Float64, Float64]
) -> Residuals:
    """How far the factors are from solving the normal equations of an ALS.

    The gradient of a user is (Y'Y + penalty I) x + sum over rated items of (extra x'y - wanted) y:
    the Gram trick, in the time of the ratings. The movies' likewise.

    Args:
        extra: (N,) confidence of each rating above that of a pair without one.
        wanted: (N,) confidence x preference of each rating.
        penalties: (U,) and (I,), L2 of each user and each movie.
    """
    arrays = model.family.arrays
    users = arrays["user_factors"].astype(np.float64)
    movies = arrays["item_factors"].astype(np.float64)
    rows = np.repeat(np.arange(len(users)), np.diff(model.seen_indptr))
    scores = np.einsum("nf,nf->n", users[rows], movies[model.seen_items])
    shape, places = (len(users), len(movies)), (rows, model.seen_items)
    errors = sp.csr_matrix((extra * scores - wanted, places), shape=shape)
    right = sp.csr_matrix((wanted, places), shape=shape)

    def residual(own: Float64, other: Float64, penalty: Float64, of: Sparse, to: Sparse) -> float:
        gradient = own @ (other.T @ other) + penalty[:, None] * own + of @ other
        return float(np.linalg.norm(gradient) / max(float(np.linalg.norm(to @ other)), 1e-12))

    return Residuals(
        users=residual(users, movies, penalties[0], errors, right),
        movies=residual(movies, users, penalties[1], errors.T, right.T),
    )


def _random(rows: int, factors: int, random: np.random.Generator) -> NDArray[np.float32]:
    """(rows, F) small random factors."""
    drawn = random.random((rows, factors), dtype=np.float32)
    drawn *= INITIAL_SCALE
    return drawn


def _copy_rows(
    known: NDArray[np.float32],
    known_ids: NDArray[np.bytes_],
    ids: Sequence[str],
    start: NDArray[np.float32],
) -> None:
    """Put the known rows into `start`, by id."""
    if known.shape[1] != start.shape[1]:
        raise ValueError(f"the parent has {known.shape[1]} factors, {start.shape[1]} are asked for")
    rows, there = rows_of(known_ids, encode(ids))
    start[there] = known[rows[there]]


ALS = Trainer(
    family="als",
    version="1",
    libraries=("implicit", "numpy", "scipy"),
    settings={
        name: name
        for name in (
            "factors",
            "regularization",
            "alpha",
            "weighting",
            "dislike_confidence",
            "iterations",
            "warm_iterations",
            "window_days",
            "half_life_days",
        )
    },
    fit=fit,
    warm=True,
    loss=loss,
    residuals=residuals,
    by_size={"regularization": regularization_for},
    ranges={
        "factors": (8, 256),
        "regularization": (0.1, 100.0),
        "alpha": (0.1, 50.0),
        "iterations": (5, 30),
    },
)
