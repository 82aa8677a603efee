"""Metrics of ranked lists, by definition. Each is a mean over the users that have a relevant movie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Hits = NDArray[np.bool_]  # (B, K): is the movie at this rank relevant to the user?
Counts = NDArray[np.int64]  # (B,): relevant movies of each user, at least 1


def ndcg(hits: Hits, relevant: Counts, k: int) -> NDArray[np.float64]:
    """(B,) normalised discounted cumulative gain: sum of 1/log2(rank + 1) over hits, over the best possible sum.

    Järvelin & Kekäläinen (2002), binary relevance.
    """
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(relevant, k)]
    return np.asarray((hits[:, :k] @ discounts[: hits.shape[1]]) / best)


def recall(hits: Hits, relevant: Counts, k: int) -> NDArray[np.float64]:
    """(B,) hits among the first k over all relevant movies."""
    return np.asarray(hits[:, :k].sum(axis=1) / relevant)


def average_precision(hits: Hits, relevant: Counts, k: int) -> NDArray[np.float64]:
    """(B,) precision at the rank of each hit, summed, over min(relevant, k); its mean is MAP@k."""
    first = hits[:, :k]
    precision = first.cumsum(axis=1) / np.arange(1, first.shape[1] + 1)
    return np.asarray((precision * first).sum(axis=1) / np.minimum(relevant, k))


def hit_rate(hits: Hits, relevant: Counts, k: int) -> NDArray[np.float64]:
    """(B,) 1 where any of the first k is relevant."""
    return np.asarray(hits[:, :k].any(axis=1), np.float64)


USER_METRICS: dict[str, tuple[Callable[[Hits, Counts, int], NDArray[np.float64]], int]] = {
    "ndcg_at_10": (ndcg, 10),
    "recall_at_10": (recall, 10),
    "recall_at_20": (recall, 20),
    "map_at_10": (average_precision, 10),
    "hit_rate_at_10": (hit_rate, 10),
}
LONGEST = max(k for _, k in USER_METRICS.values())


def coverage(recommended: NDArray[np.int32], movies: int, k: int) -> float:
    """Share of the `movies` that stand in the first k of anybody's list; -1 marks an empty place."""
    shown = np.unique(recommended[:, :k])
    return float((shown >= 0).sum() / movies)
