"""Which ratings a gate twin does not see."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from movierec_assets.ratings.interactions import Interactions

HOLDOUT_SHARE = 0.2
MIN_TRAINING_RATINGS = 5
# Evaluated: the gate's standard error is then below 1 % of the mean (docs/benchmarks).
MAX_USERS = 5_000


def temporal_holdout(data: Interactions) -> NDArray[np.bool_]:
    """(N,) true for each user's last 20 % of ratings, by time, then movie; a user keeps at least 5
    to train on.
    """
    counts = np.diff(data.indptr)
    most = np.maximum(counts - MIN_TRAINING_RATINGS, 0)
    last = np.minimum(np.floor(counts * HOLDOUT_SHARE), most).astype(np.int64)
    begins = np.repeat(_begins(data, last), counts)
    held = data.rated_at >= begins
    # Of those rated in the second in which a holdout begins, the first movies may be too many.
    tied = np.flatnonzero(data.rated_at == begins)
    users = data.users[tied]
    place = np.arange(len(tied)) - np.searchsorted(users, users)
    too_many = np.add.reduceat(held, data.indptr[:-1], dtype=np.int64) - last
    held[tied[place < too_many[users]]] = False
    return held


def _begins(data: Interactions, last: NDArray[np.int64]) -> NDArray[np.int64]:
    """(U,) when each user gave the first of these `last` ratings; after any time where that is 0.

    Each user's times are sorted alone: one order of millions takes twice as long.
    """
    begins = np.full(len(last), np.iinfo(np.int64).max)
    for user in np.flatnonzero(last).tolist():
        times = np.sort(data.rated_at[data.indptr[user] : data.indptr[user + 1]])
        begins[user] = times[-last[user]]
    return begins


def sample(user_ids: NDArray[np.bytes_], most: int = MAX_USERS) -> NDArray[np.int64]:
    """Rows, ascending, of at most `most` users: those with the lowest hashes, so nearly the same
    ones every day.
    """
    if len(user_ids) <= most:
        return np.arange(len(user_ids))
    hashes = np.array([zlib.crc32(key) for key in user_ids.tolist()])
    return np.sort(np.argsort(hashes, kind="stable")[:most])
