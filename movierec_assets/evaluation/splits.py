"""Which ratings a gate twin does not see."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

HOLDOUT_SHARE = 0.2
MIN_TRAINING_RATINGS = 5
MAX_USERS = 5_000  # evaluated; the gate's standard error is then below 1 % of the mean (docs/benchmarks.md)


def temporal_holdout(users: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(N,) true for each user's last 20 % of ratings; a user keeps at least 5 to train on.

    Args:
        users: (N,) user rows of interactions ordered by user, then time, then movie.
    """
    counts = np.bincount(users)
    most = np.maximum(counts - MIN_TRAINING_RATINGS, 0)
    held = np.minimum(np.floor(counts * HOLDOUT_SHARE), most).astype(np.int64)
    return np.asarray(np.arange(len(users)) >= (np.cumsum(counts) - held)[users])


def sample(user_ids: NDArray[np.bytes_], most: int = MAX_USERS) -> NDArray[np.int64]:
    """Rows, ascending, of at most `most` users: those with the lowest hashes, so nearly the same ones every day."""
    if len(user_ids) <= most:
        return np.arange(len(user_ids))
    hashes = np.array([zlib.crc32(key) for key in user_ids.tolist()])
    return np.sort(np.argsort(hashes, kind="stable")[:most])
