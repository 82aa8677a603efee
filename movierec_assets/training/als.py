"""Implicit ALS, cold or warm, with the same bits from the same inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from movierec_assets.ratings.interactions import Interactions
from movierec_assets.training.factors import Factors

PARALLEL_FROM = 1_000_000  # interactions; with fewer, threads that wait cost more than they save
INITIAL_SCALE = 0.01  # of random factors, as implicit's own


def fit(
    data: Interactions,
    weights: NDArray[np.float32],
    parameters: Mapping[str, Any],
    seed: int,
    parent: Factors | None = None,
) -> Factors:
    """Factorise by alternating least squares, conjugate gradient.

    Hu, Koren & Volinsky (2008), "Collaborative Filtering for Implicit Feedback Datasets"; the
    solver is implicit's. Bits are reproduced on the same BLAS kernel: BLAS runs on one thread (also
    faster), rows are in the order of their ids, indices are sorted, and random rows come from
    `seed` alone.

    Args:
        weights: (N,) confidence of each interaction; 0 leaves a pair out, as neither liked nor
            unseen.
        parameters: factors, regularization, iterations (of a cold fit), warm_iterations (of a warm
            one).
        parent: a warm fit starts from these, rows mapped by id; rows the parent lacks start random.

    Raises:
        ValueError: the parent has another number of factors.
    """
    from implicit.cpu.als import AlternatingLeastSquares

    factors = parameters["factors"]
    random = np.random.default_rng(seed)
    known = parent or Factors(
        (), (), np.empty((0, factors), np.float32), np.empty((0, factors), np.float32)
    )
    start_users = _start(data.user_ids, known.user_ids, known.users, factors, random)
    start_movies = _start(data.movie_ids, known.movie_ids, known.movies, factors, random)
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=factors,
            regularization=parameters["regularization"],
            alpha=1.0,
            random_state=seed,
            iterations=parameters["iterations" if parent is None else "warm_iterations"],
            num_threads=1 if len(data) < PARALLEL_FROM else 0,  # the bits do not depend on it
        )
        model.user_factors, model.item_factors = start_users, start_movies
        model.fit(data.matrix(weights), show_progress=False)
    return Factors(data.user_ids, data.movie_ids, model.user_factors, model.item_factors)


def loss(
    data: Interactions, weights: NDArray[np.float32], factors: Factors, regularization: float
) -> float:
    """What ALS minimises, a pair of user and movie: the mean of c (p - x'y)^2 over all pairs, and
    the L2 terms.

    By implicit's Gram trick, in the time of the interactions and not of all pairs. As a mean it can
    be compared between days.
    """
    from implicit.cpu.als import calculate_loss

    with threadpool_limits(1, "blas"):
        return float(
            calculate_loss(data.matrix(weights), factors.users, factors.movies, regularization)
        )


def _start(
    ids: tuple[str, ...],
    known_ids: tuple[str, ...],
    known: NDArray[np.float32],
    factors: int,
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """(len(ids), F) start: the known rows by id, small random ones for the others."""
    if known.shape[1] != factors:
        raise ValueError(f"the parent has {known.shape[1]} factors, {factors} are asked for")
    start = (random.random((len(ids), factors), dtype=np.float32) * INITIAL_SCALE).astype(
        np.float32
    )
    rows = {key: row for row, key in enumerate(known_ids)}
    pairs = [(row, rows[key]) for row, key in enumerate(ids) if key in rows]
    if pairs:
        here, there = np.array(pairs).T
        start[here] = known[there]
    return start


def blas_kernel() -> str:
    """The BLAS build and kernel that NumPy uses: bits are comparable only on the same one."""
    for pool in threadpool_info():
        if pool.get("user_api") == "blas":
            return f"{pool.get('internal_api')} {pool.get('version')} {pool.get('architecture')}"
    return "unknown"
