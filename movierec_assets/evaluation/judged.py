"""Users that are judged by what they liked: pairs of a user and a movie, packed into one number.

A pair is `user x movies + movie`, of rows in one table of users and one of movies. All arithmetic
on packed pairs stands here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Pairs:
    """(N,) packed pairs, ascending, each once, of one table of `movies` movies."""

    packed: NDArray[np.int64]
    movies: int

    @classmethod
    def of(cls, users: Rows, rows: Rows, movies: int) -> Pairs:
        """Pack (N,) users with (N,) movie rows; a pair that comes twice is there once."""
        return cls(np.unique(users.astype(np.int64) * movies + rows), movies)

    @classmethod
    def ascending(cls, users: Rows, rows: Rows, movies: int) -> Pairs:
        """Pack what is in order already, each pair once: a sort of millions is spared."""
        return cls(users.astype(np.int64) * movies + rows, movies)

    @classmethod
    def union(cls, parts: Sequence[Pairs]) -> Pairs:
        """All pairs of at least one of several, which share their tables."""
        # A stable sort only merges what is ascending already.
        merged = np.sort(np.concatenate([part.packed for part in parts]), kind="stable")
        return cls(merged[np.diff(merged, prepend=-1) > 0], parts[0].movies)

    def __len__(self) -> int:
        return len(self.packed)

    @property
    def users(self) -> NDArray[np.int64]:
        """(N,) the user of each pair, ascending."""
        return self.packed // max(self.movies, 1)

    @property
    def rows(self) -> NDArray[np.int64]:
        """(N,) the movie row of each pair."""
        return self.packed % max(self.movies, 1)

    def hold(self, packed: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each of these packed pairs is one of them, which are one or more."""
        places = np.minimum(np.searchsorted(self.packed, packed), len(self) - 1)
        return np.asarray(self.packed[places] == packed)

    def without(self, other: Pairs) -> Pairs:
        """Take the pairs that `other` does not have."""
        kept = np.setdiff1d(self.packed, other.packed, assume_unique=True)
        return Pairs(kept, self.movies)

    def by_user(self, users: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """The movie rows of each of these users, ascending."""
        bounds = np.searchsorted(self.packed, [users * self.movies, (users + 1) * self.movies]).T
        return [self.packed[start:end] % self.movies for start, end in bounds]


@dataclass(frozen=True)
class Judged:
    """The B users who have a relevant movie, judged by the lists that they are shown."""

    relevant: Pairs
    disliked: Pairs | None = None  # held-out movies that these and other users disliked

    @cached_property
    def users(self) -> NDArray[np.int64]:
        """(B,) user rows, ascending."""
        return np.unique(self.relevant.users)

    @cached_property
    def liked(self) -> NDArray[np.int64]:
        """(B,) how many relevant movies each has."""
        return np.unique(self.relevant.users, return_counts=True)[1]

    def liked_among(self, movies: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(B,) how many of these movies, a mask over rows, each likes."""
        users = self.relevant.users[movies[self.relevant.rows]]
        return np.bincount(np.searchsorted(self.users, users), minlength=len(self.users))

    def hits(self, lists: NDArray[np.int32]) -> NDArray[np.bool_]:
        """(B, K) whether the movie at each place of (B, K) lists is relevant; -1 is no movie."""
        return self._among(self.relevant, lists)

    def dislikes(self, lists: NDArray[np.int32]) -> NDArray[np.bool_]:
        """(B, K) whether the user disliked the movie at each place of (B, K) lists."""
        if self.disliked is None or not len(self.disliked):
            return np.zeros(lists.shape, np.bool_)
        return self._among(self.disliked, lists)

    def _among(self, pairs: Pairs, lists: NDArray[np.int32]) -> NDArray[np.bool_]:
        return pairs.hold(self.users[:, None] * pairs.movies + lists) & (lists >= 0)
