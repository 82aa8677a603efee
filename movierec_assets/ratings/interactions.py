"""The interactions a model is trained on: each (user, movie) once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from movierec_serving.bundle import overall_mean, signed, user_means, weight_of

SECONDS_A_DAY = 86_400
PART = 2**18  # interactions weighed at once: what lies between fits a cache


@dataclass(frozen=True)
class Interactions:
    """N interactions of U users with I movies, each pair once, ordered by user, then movie.

    No user and no movie is without one.

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

    def same_as(self, other: Interactions) -> bool:
        """Whether all is the same, to the last bit."""
        mine, theirs = vars(self), vars(other)
        return all(np.array_equal(mine[field.name], theirs[field.name]) for field in fields(self))

    def select(self, mask: NDArray[np.bool_]) -> Interactions:
        """Those where `mask` (N,) is true, with the users and movies that are left."""
        counts = np.add.reduceat(mask, self.indptr[:-1], dtype=np.int64)  # of each user
        user_rows = np.flatnonzero(counts).tolist()
        users = np.repeat(np.arange(len(user_rows), dtype=np.int32), counts[user_rows])
        movies = self.movies[mask]
        there = np.zeros(len(self.movie_ids), np.bool_)
        there[movies] = True
        movie_rows = np.flatnonzero(there).tolist()
        movies = (np.cumsum(there, dtype=np.int32) - 1)[movies]
        return Interactions(
            tuple(self.user_ids[row] for row in user_rows),
            tuple(self.movie_ids[row] for row in movie_rows),
            users,
            movies,
            self.ratings[mask],
            self.rated_at[mask],
        )

    def matrix(self, values: NDArray[np.float32], *, copy: bool = True) -> sp.csr_matrix:
        """(U, I) CSR float32 of one value an interaction, column indices sorted (the fit's bits
        depend on it).

        Args:
            copy: libraries prune in place; without one, whoever gets the matrix only reads it.
        """
        entries = (values.astype(np.float32, copy=False), self.movies, self.indptr)
        shape = (len(self.user_ids), len(self.movie_ids))
        return sp.csr_matrix(entries, shape=shape, copy=copy)

    @cached_property
    def indptr(self) -> NDArray[np.int64]:
        """(U + 1,) where each user's begin, and the last one's end."""
        return np.searchsorted(self.users, np.arange(len(self.user_ids) + 1, dtype=np.int32))

    def in_time(self) -> NDArray[np.int64]:
        """(N,) places in the order of user, then time, then movie."""
        span = self.rated_at.max(initial=0) + 1
        return np.argsort(self.users * span + self.rated_at, kind="stable")

    @cached_property
    def popularity(self) -> NDArray[np.float32]:
        """(I,) number of ratings of each movie."""
        return np.bincount(self.movies, minlength=len(self.movie_ids)).astype(np.float32)


def interactions_of(ratings: pd.DataFrame) -> Interactions:
    """Each (user, movie) once, with its last rating by (rated_at, day, record).

    Args:
        ratings: `user_id`, `movie_id` (text), `rating`, `rated_at` (seconds since 1970), `day`
            (ISO), `record`.
    """
    user_ids, users = np.unique(ratings["user_id"].to_numpy(str), return_inverse=True)
    movie_ids, movies = np.unique(ratings["movie_id"].to_numpy(str), return_inverse=True)
    rows = {
        "user": users.astype(np.int32),
        "movie": movies.astype(np.int32),
        "day": ratings["day"].to_numpy(str),
        "rating": ratings["rating"].to_numpy(np.float32),
        "rated_at": ratings["rated_at"].to_numpy(np.int64),
        "record": ratings["record"].to_numpy(np.int64),
    }
    return latest(tuple(user_ids.tolist()), tuple(movie_ids.tolist()), rows)


def latest(
    user_ids: tuple[str, ...], movie_ids: tuple[str, ...], rows: Mapping[str, NDArray[Any]]
) -> Interactions:
    """Each (user, movie) once, with its last rating by (rated_at, day, record).

    Args:
        user_ids, movie_ids: ascending, each with a rating.
        rows: of ratings in any order: `user`, `movie` (int32), `rating` (float32), `rated_at`
            (int64), `day`, `record`.
    """
    pairs = rows["user"] * np.int64(len(movie_ids)) + rows["movie"]
    order = _argsort(pairs, len(user_ids) * len(movie_ids))
    again = np.diff(pairs[order]) == 0
    if again.any():  # few are: only these are sorted by time
        repeated = np.append(again, False) | np.append(False, again)
        some = order[repeated]
        keys = [rows[name][some] for name in ("record", "day", "rated_at")]
        order[repeated] = some[np.lexsort([*keys, pairs[some]])]
        order = order[np.append(~again, True)]
    columns: list[Any] = [rows[name][order] for name in ("user", "movie", "rating", "rated_at")]
    return Interactions(user_ids, movie_ids, *columns)


def added(before: Interactions, later: Interactions) -> Interactions:
    """Add a later day's interactions: the same as `latest` of the ratings of all days.

    Of a pair that both have, the one rated last counts; the later day's where the times are equal.

    Args:
        before: at least one.
    """
    user_ids, user_rows, users = _united(before.user_ids, later.user_ids)
    movie_ids, movie_rows, movies = _united(before.movie_ids, later.movie_ids)
    users, movies = users[later.users], movies[later.movies]
    old_movies = movie_rows[before.movies]
    count = np.zeros(len(user_ids), np.int64)  # of each user's earlier ratings
    count[user_rows] = np.diff(before.indptr)
    # Few have rated since: only their earlier ratings are looked through.
    again, user = np.unique(users, return_inverse=True)
    theirs = count[again]
    shift = (np.cumsum(count) - count)[again] - (np.cumsum(theirs) - theirs)
    old = np.arange(theirs.sum()) + np.repeat(shift, theirs)
    pairs = np.repeat(again, theirs) * np.int64(len(movie_ids)) + old_movies[old]
    wanted = users * np.int64(len(movie_ids)) + movies
    found = np.searchsorted(pairs, wanted)
    fresh = np.append(pairs, -1)[found] != wanted
    places = found + shift[user]
    at = places + np.cumsum(fresh) - fresh  # where each stands among all
    counts = fresh | (later.rated_at >= before.rated_at[np.minimum(places, len(before) - 1)])
    kept = np.ones(len(before) + fresh.sum(), np.bool_)
    kept[at[fresh]] = False

    def merged(old: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        values = np.empty(len(kept), old.dtype)
        values[kept] = old
        values[at[counts]] = new[counts]
        return values

    return Interactions(
        user_ids,
        movie_ids,
        np.repeat(
            np.arange(len(user_ids), dtype=np.int32),
            count + np.bincount(users[fresh], minlength=len(user_ids)),
        ),
        merged(old_movies, movies),
        merged(before.ratings, later.ratings),
        merged(before.rated_at, later.rated_at),
    )


def _united(
    ids: tuple[str, ...], more: tuple[str, ...]
) -> tuple[tuple[str, ...], NDArray[np.int32], NDArray[np.int32]]:
    """All ids, ascending; and the rows among them of `ids`, and of `more`."""
    united = tuple(sorted(dict.fromkeys([*ids, *more])))  # mostly in order already
    rows = {key: row for row, key in enumerate(united)}
    old, new = (np.array([rows[key] for key in some], np.int32) for some in (ids, more))
    return united, old, new


def _argsort(keys: NDArray[np.int64], below: int) -> NDArray[np.int64]:
    """np.argsort of keys from 0 to `below`: sorting numbers takes a fifth of its time, so places
    are packed in.
    """
    count = max(len(keys), 1)
    if below * count >= 2**63:
        return np.argsort(keys)
    return np.asarray(np.sort(keys * count + np.arange(len(keys))) % count)


def confidence(
    interactions: Interactions, until: str, parameters: Mapping[str, Any]
) -> NDArray[np.float32]:
    """(N,) what each interaction weighs in a fit: alpha x weight of the stars x decay.

    In ALS it is the confidence c of Hu, Koren & Volinsky (2008).

    Args:
        until: the last day of the data (ISO), at whose end ages are counted.
        parameters: alpha, 1 where a family has none; weighting, see `weight_of`; half_life_days,
            the age at which an interaction has half its weight, or None; dislike_confidence, the
            weight of a dislike, which is negative here (none in models of 0.2.0).
    """
    alpha, dislike = parameters.get("alpha", 1.0), parameters.get("dislike_confidence")
    end = datetime.fromisoformat(until).replace(tzinfo=UTC) + timedelta(days=1)
    means = user_means(
        interactions.ratings, interactions.indptr, overall_mean(interactions.ratings)
    )
    result = np.empty(len(interactions), np.float32)
    for start in range(0, len(result), PART):
        part = slice(start, start + PART)
        stars = interactions.ratings[part]
        weights = alpha * weight_of(stars, parameters["weighting"])
        weights = signed(weights, stars, means[interactions.users[part]], dislike)
        if parameters["half_life_days"] is not None:
            age_s = np.maximum(int(end.timestamp()) - interactions.rated_at[part], 0)
            weights = weights * np.exp2(-age_s / SECONDS_A_DAY / parameters["half_life_days"])
        result[part] = weights
    return result
