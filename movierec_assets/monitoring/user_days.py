"""What each user did on each day: the unit in which days are compared.

The ratings that one user gives in one go are alike, so a day of 400 ratings by ten people is ten
observations and not 400. Whether a day is unlike others is `drift.py`'s to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

POPULAR = 0.1  # share of the reference's movies, the most rated ones, that count as popular


@dataclass(frozen=True)
class Rated:
    """Accepted ratings of some days, (N,) each, by dense numbers of days, users and movies.

    Attributes:
        days: (ISO) ascending, each with at least one rating; `day` is a place in it.
        new_user: whether no day before the rating's had the user.
        new_movie: the same of the movie.
        outside: whether there is a catalogue and it lacks the movie.
        has_genre: (M, G) whether a movie has a genre; none of one that the catalogue lacks.
    """

    days: Sequence[str]
    day: NDArray[np.int64]
    user: NDArray[np.int64]
    movie: NDArray[np.int64]
    stars: NDArray[np.float64]
    new_user: NDArray[np.bool_]
    new_movie: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    genres: Sequence[str]
    has_genre: NDArray[np.bool_]


@dataclass(frozen=True)
class UserDays:
    """(K,) each, a row for each user of each day, days ascending.

    Attributes:
        rated: (K, M) how often a movie was rated.
        genre_shares: (K, G) share of the user's ratings of the day that have a genre.
        stars: mean of the user's stars that day; `spread` their standard deviation.
        new_movies: (D,) share of a day's different movies that are new.
        outside: (D,) share of a day's ratings whose movie the catalogue lacks.
    """

    day: NDArray[np.int64]
    ratings: NDArray[np.int64]
    stars: NDArray[np.float64]
    spread: NDArray[np.float64]
    new: NDArray[np.bool_]
    rated: csr_array
    genre_shares: NDArray[np.float64]
    genres: Sequence[str]
    new_movies: NDArray[np.float64]
    outside: NDArray[np.float64]

    @classmethod
    def of(cls, rated: Rated) -> Self:
        """Group ratings by day and user."""
        users = int(rated.user.max(initial=0)) + 1
        keys, row = np.unique(rated.day * users + rated.user, return_inverse=True)
        count = np.bincount(row, minlength=len(keys))
        mean = _sums(rated.stars, row, len(keys)) / count
        squares = _sums((rated.stars - mean[row]) ** 2, row, len(keys)) / count
        ones = np.ones(len(row))
        matrix = csr_array((ones, (row, rated.movie)), shape=(len(keys), len(rated.has_genre)))
        new = np.zeros(len(keys), bool)
        new[row] = rated.new_user
        shares = (matrix @ rated.has_genre.astype(np.float64)) / count[:, None]
        return cls(
            day=keys // users,
            ratings=count,
            stars=mean,
            spread=np.sqrt(squares),
            new=new,
            rated=matrix,
            genre_shares=np.asarray(shares),
            genres=rated.genres,
            new_movies=_new_movies(rated),
            outside=_sums(rated.outside, rated.day, len(rated.days))
            / np.maximum(np.bincount(rated.day, minlength=len(rated.days)), 1),
        )

    def __len__(self) -> int:
        return len(self.day)

    def between(self, first: int, last: int) -> UserDays:
        """The rows of the days at the places [first, last), which are numbered anew."""
        begin, end = np.searchsorted(self.day, [first, last])
        part: dict[str, Any] = {
            name: getattr(self, name)[begin:end]
            for name in ("ratings", "stars", "spread", "new", "rated", "genre_shares")
        }
        return UserDays(
            **part,
            day=self.day[begin:end] - first,
            genres=self.genres,
            new_movies=self.new_movies[first:last],
            outside=self.outside[first:last],
        )

    def by_day(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """(D,) sum over the users of each day."""
        return _sums(values, self.day, len(self.new_movies))

    def popularity(self) -> NDArray[np.float64]:
        """(M,) of each movie, the share of the ratings here that are of less rated movies."""
        counts = np.asarray(self.rated.sum(axis=0)).ravel()
        values, place, many = np.unique(counts, return_inverse=True, return_counts=True)
        below = np.concatenate([[0.0], np.cumsum(values * many)[:-1]])
        return np.asarray(below[place] / max(counts.sum(), 1.0))

    def popular(self) -> NDArray[np.float64]:
        """(M,) 1 for the most rated tenth of the movies that are rated here, else 0."""
        counts = np.asarray(self.rated.sum(axis=0)).ravel()
        least = np.quantile(counts[counts > 0], 1 - POPULAR) if counts.any() else np.inf
        return (counts >= least).astype(np.float64)

    def mean_of(self, movies: NDArray[np.float64]) -> NDArray[np.float64]:
        """(K,) mean of a value of movies over what each user rated that day."""
        return np.asarray(self.rated @ movies) / self.ratings


def _sums(values: NDArray[Any], row: NDArray[np.int64], rows: int) -> NDArray[np.float64]:
    return np.bincount(row, weights=values, minlength=rows).astype(np.float64)


def _new_movies(rated: Rated) -> NDArray[np.float64]:
    """(D,) share of a day's different movies that no day before it had."""
    rated_then = np.zeros((len(rated.days), len(rated.has_genre)), np.bool_)
    new = np.zeros_like(rated_then)
    rated_then[rated.day, rated.movie] = True
    new[rated.day, rated.movie] = rated.new_movie
    return np.asarray(new.sum(axis=1) / np.maximum(rated_then.sum(axis=1), 1))
