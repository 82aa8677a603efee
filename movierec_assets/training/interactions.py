"""The interactions a model is trained on: each (user, movie) once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from movierec_serving.bundle import weight_of

SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class Interactions:
    """N interactions of U users with I movies, ordered by user, then time, then movie.

    Attributes:
        user_ids, movie_ids: external ids by row, ascending by their UTF-8 bytes.
        users, movies: (N,) int32 rows.
        ratings: (N,) float32 stars.
        rated_at: (N,) int64 seconds since 1970.
    """

    user_ids: tuple[str, ...]
    movie_ids: tuple[str, ...]
    users: NDArray[np.int32]
    movies: NDArray[np.int32]
    ratings: NDArray[np.float32]
    rated_at: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.users)

    def select(self, mask: NDArray[np.bool_]) -> Interactions:
        """Those where `mask` (N,) is true, with the users and movies that are left."""
        user_rows, users = _dense(self.users[mask], len(self.user_ids))
        movie_rows, movies = _dense(self.movies[mask], len(self.movie_ids))
        return Interactions(
            tuple(self.user_ids[row] for row in user_rows), tuple(self.movie_ids[row] for row in movie_rows),
            users, movies, self.ratings[mask], self.rated_at[mask],
        )  # fmt: skip

    def matrix(self, values: NDArray[np.float32]) -> sp.csr_matrix:
        """(U, I) CSR float32 of one value an interaction, column indices sorted (the fit's bits depend on it)."""
        order = self._by_user_and_movie
        shape = (len(self.user_ids), len(self.movie_ids))
        entries = (values.astype(np.float32)[order.data], order.indices, order.indptr)
        return sp.csr_matrix(entries, shape=shape, copy=True)  # libraries sort and prune in place

    @cached_property
    def _by_user_and_movie(self) -> sp.csr_matrix:
        """Where each entry of a `matrix` stands among the interactions: sorted once for all that are made."""
        ends = np.cumsum(np.bincount(self.users, minlength=len(self.user_ids)))
        places = np.arange(len(self), dtype=np.int32)
        order = sp.csr_matrix(
            (places, self.movies.copy(), np.concatenate([[0], ends])), shape=(len(ends), len(self.movie_ids))
        )
        order.sort_indices()
        return order

    def popularity(self) -> NDArray[np.float32]:
        """(I,) number of ratings of each movie."""
        return np.bincount(self.movies, minlength=len(self.movie_ids)).astype(np.float32)


def _dense(rows: NDArray[np.int32], count: int) -> tuple[list[int], NDArray[np.int32]]:
    """Which of `count` rows there are, and each one's place among these."""
    there = np.bincount(rows, minlength=count) > 0
    return np.flatnonzero(there).tolist(), (np.cumsum(there) - 1).astype(np.int32)[rows]


def interactions_of(ratings: pd.DataFrame) -> Interactions:
    """Each (user, movie) once, with its last rating by (rated_at, day, record).

    Args:
        ratings: `user_id`, `movie_id` (text), `rating`, `rated_at` (seconds since 1970), `day` (ISO), `record`.
    """
    ordered = ratings.sort_values(["rated_at", "day", "record"], kind="stable")
    last = ordered.drop_duplicates(["user_id", "movie_id"], keep="last")
    user_ids, users = np.unique(last["user_id"].to_numpy(str), return_inverse=True)
    movie_ids, movies = np.unique(last["movie_id"].to_numpy(str), return_inverse=True)
    rated_at = last["rated_at"].to_numpy(np.int64)
    order = np.lexsort((movies, rated_at, users))
    return Interactions(
        tuple(user_ids.tolist()), tuple(movie_ids.tolist()), users[order].astype(np.int32),
        movies[order].astype(np.int32), last["rating"].to_numpy(np.float32)[order], rated_at[order],
    )  # fmt: skip


def confidence(interactions: Interactions, until: str, parameters: Mapping[str, Any]) -> NDArray[np.float32]:
    """(N,) c, the weight ALS gives each interaction (Hu, Koren & Volinsky 2008): alpha x weight x decay.

    Args:
        until: the last day of the data (ISO), at whose end ages are counted.
        parameters: alpha; weighting, see `weight_of`; half_life_days, the age at which an interaction has half its
            confidence, or None.
    """
    result = parameters["alpha"] * weight_of(interactions.ratings, parameters["weighting"])
    if parameters["half_life_days"] is not None:
        end = datetime.fromisoformat(until).replace(tzinfo=UTC) + timedelta(days=1)
        age_days = np.maximum(int(end.timestamp()) - interactions.rated_at, 0) / SECONDS_A_DAY
        result = result * np.exp2(-age_days / parameters["half_life_days"])
    return np.asarray(result, np.float32)
