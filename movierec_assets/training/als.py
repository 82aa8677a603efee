"""Implicit ALS, cold or warm, with the same bits from the same inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from movierec_assets.training.interactions import Interactions, confidence

INITIAL_SCALE = 0.01  # of random factors, as implicit's own


@dataclass(frozen=True)
class Factors:
    """(U, F) and (I, F) float32 with the ids of their rows, ascending by UTF-8 bytes."""

    user_ids: tuple[str, ...]
    movie_ids: tuple[str, ...]
    users: NDArray[np.float32]
    movies: NDArray[np.float32]


def fit(
    user_ids: tuple[str, ...], movie_ids: tuple[str, ...], confidence: sp.csr_matrix, *, factors: int,
    regularization: float, iterations: int, seed: int, parent: Factors | None = None,
) -> Factors:  # fmt: skip
    """Factorise `confidence` (U, I) by alternating least squares, conjugate gradient.

    Hu, Koren & Volinsky (2008), "Collaborative Filtering for Implicit Feedback Datasets"; the solver is
    implicit's. Bits are reproduced on the same BLAS kernel: BLAS runs on one thread (also faster), rows are
    in the order of their ids, indices are sorted, and random rows come from `seed` alone.

    Args:
        parent: a warm fit starts from these, rows mapped by id; rows the parent lacks start random.

    Raises:
        ValueError: the parent has another number of factors.
    """
    from implicit.als import AlternatingLeastSquares

    random = np.random.default_rng(seed)
    known = parent or Factors((), (), np.empty((0, factors), np.float32), np.empty((0, factors), np.float32))
    start_users = _start(user_ids, known.user_ids, known.users, factors, random)
    start_movies = _start(movie_ids, known.movie_ids, known.movies, factors, random)
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=factors,
            regularization=regularization,
            alpha=1.0,
            iterations=iterations,
            random_state=seed,
        )
        model.user_factors, model.item_factors = start_users, start_movies
        model.fit(confidence, show_progress=False)
    return Factors(user_ids, movie_ids, np.asarray(model.user_factors), np.asarray(model.item_factors))


def train(
    data: Interactions, until: str, parameters: Mapping[str, Any], seed: int, parent: Factors | None
) -> tuple[NDArray[np.float32], Factors]:
    """(N,) confidence of each interaction, and the factors, by a model's recorded parameters.

    Args:
        until: the last day of the data (ISO), at whose end ages are counted.
        parameters: alpha, weighting, half_life_days, factors, regularization, iterations, warm_iterations.
        parent: a warm fit of `warm_iterations` starts from it; None: a cold one of `iterations`.
    """
    end = datetime.fromisoformat(until).replace(tzinfo=UTC) + timedelta(days=1)
    weights = confidence(
        data,
        alpha=parameters["alpha"],
        weighting=parameters["weighting"],
        half_life_days=parameters["half_life_days"],
        until_s=int(end.timestamp()),
    )
    factors = fit(
        data.user_ids, data.movie_ids, data.matrix(weights), factors=parameters["factors"],
        regularization=parameters["regularization"], seed=seed, parent=parent,
        iterations=parameters["iterations" if parent is None else "warm_iterations"],
    )  # fmt: skip
    return weights, factors


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
    start = (random.random((len(ids), factors), dtype=np.float32) * INITIAL_SCALE).astype(np.float32)
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
