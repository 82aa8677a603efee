"""Metrics of ranked lists, by definition. Those of a user are averaged over the users that have a
relevant movie.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Hits = NDArray[np.bool_]  # (B, K): is the movie at this rank relevant to the user?
Counts = NDArray[np.int64]  # (B,): relevant movies of each user, at least 1


def ndcg(hits: Hits, relevant: Counts, k: int) -> NDArray[np.float64]:
    """(B,) normalised discounted cumulative gain: sum of 1/log2(rank + 1) over hits, over the best
    possible sum.

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


def means(hits: Hits, relevant: Counts) -> dict[str, float]:
    """The mean of each of `USER_METRICS`, and of how many `users`; these alone where there are
    none.
    """
    averages = {"users": float(len(relevant))}
    if len(relevant):
        averages |= {
            name: float(metric(hits, relevant, k).mean())
            for name, (metric, k) in USER_METRICS.items()
        }
    return averages


def against_dislikes(hits: Hits, dislikes: Hits, relevant: Counts, k: int = 10) -> dict[str, float]:
    """Metrics that punish recommending what the user then disliked; over the judged users.

    `disliked_at_10` is the mean number of disliked movies among the first 10.
    `disliked_share_at_10` is their share of the movies among them that were rated at all, liked or
    disliked. `net_ndcg_at_10` is NDCG@10 in which a disliked movie gains -1.

    Args:
        dislikes: (B, K) whether the user disliked the movie at this rank.
    """
    liked_there, disliked_there = hits[:, :k].sum(), dislikes[:, :k].sum()
    judged = max(int(liked_there + disliked_there), 1)
    net = ndcg(hits, relevant, k) - ndcg(dislikes, relevant, k)
    return {
        "disliked_at_10": float(disliked_there / max(len(hits), 1)),
        "disliked_share_at_10": float(disliked_there / judged),
        "net_ndcg_at_10": float(net.mean()) if len(net) else 0.0,
    }


def coverage(recommended: NDArray[np.int32], movies: int, k: int) -> float:
    """Share of the `movies` that stand in the first k of anybody's list; -1 marks an empty
    place.
    """
    shown = np.unique(recommended[:, :k])
    return float((shown >= 0).sum() / movies)


def novelty(
    recommended: NDArray[np.int32], popularity: NDArray[np.float32], users: int, k: int
) -> float:
    """Mean self-information, in bits, of the movies in the first k of the lists: -log2 of the share
    of users who rated it. A movie that half of them rated has 1 bit. -1 marks an empty place.

    Zhou et al. (2010), "Solving the apparent diversity-accuracy dilemma of recommender systems".
    """
    first = recommended[:, :k]
    shown = popularity[first[first >= 0]]
    return float(-np.log2(np.maximum(shown, 1) / users).mean()) if len(shown) else 0.0


# Ratings in training, from and below.
USER_SEGMENTS = {"new": (0, 20), "light": (20, 100), "heavy": (100, None)}
MOVIE_SEGMENTS = ("head", "torso", "tail")


def movie_segments(popularity: NDArray[np.float32]) -> NDArray[np.int64]:
    """(I,) place in `MOVIE_SEGMENTS`: the most rated that have a third of the ratings, the next
    third, the rest.
    """
    order = np.argsort(-popularity, kind="stable")
    before = np.cumsum(popularity[order], dtype=np.float64) - popularity[order]
    segments = np.empty(len(popularity), np.int64)
    segments[order] = np.minimum(3 * before / max(float(popularity.sum()), 1.0), 2).astype(np.int64)
    return segments
