"""A bundle, evaluated on held-out ratings with the code that serves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movierec_assets.evaluation.metrics import LONGEST, USER_METRICS, coverage
from movierec_assets.evaluation.splits import sample
from movierec_assets.training.interactions import Interactions
from movierec_serving.bundle import Bundle, recommend, top_items

RELEVANT_STARS = 4.0


@dataclass(frozen=True)
class Evaluation:
    """Means by metric name, and (B,) NDCG@10 of each evaluated user, beside that of popularity."""

    metrics: dict[str, float]
    ndcg_at_10: NDArray[np.float64]
    popularity_ndcg_at_10: NDArray[np.float64]


Rank = Callable[
    [NDArray[np.int64]], NDArray[np.int32]
]  # (B,) user rows to (B, LONGEST) movie rows, -1 for none


def evaluate(bundle: Bundle, held: Interactions, rank: Rank | None = None) -> Evaluation:
    """Rank each user's unseen movies and compare with what the user liked later, beside popularity.

    Relevant is a held-out rating of 4 stars or more of a movie seen in training; users without one are left
    out, and of more than `MAX_USERS` users a sample is taken. Lists hold only movies that the user has not rated
    in training.

    Args:
        bundle: of a model that was trained without `held`.
        rank: makes the lists that are judged; else the bundle's own are.
    """
    users, found_user = rows_of(bundle.user_ids, encode(held.user_ids))
    movies, found_movie = rows_of(bundle.item_ids, encode(held.movie_ids))
    sampled = np.zeros(len(bundle.user_ids), bool)
    sampled[sample(bundle.user_ids)] = True
    keep = (
        (held.ratings >= RELEVANT_STARS)
        & (found_user & sampled[users])[held.users]
        & found_movie[held.movies]
    )
    pairs = users[held.users[keep]].astype(np.int64) * len(bundle.item_ids) + movies[held.movies[keep]]
    pairs.sort()
    evaluated, relevant = np.unique(pairs // max(len(bundle.item_ids), 1), return_counts=True)
    metrics = {"users": float(len(evaluated)), "holdout_ratings": float(len(held))}
    if not len(evaluated):
        return Evaluation(metrics, np.zeros(0), np.zeros(0))
    lists = rank(evaluated) if rank else recommend(bundle, evaluated, LONGEST)[0]
    popularity = np.asarray(bundle.popularity).reshape(
        -1, 1
    )  # a model of one factor: the same kernel ranks it
    baseline, _ = top_items(
        popularity, np.ones((len(evaluated), 1), np.float32), [bundle.seen(u) for u in evaluated], LONGEST
    )
    ndcg = {}
    for prefix, ranked in (("", lists), ("popularity_", baseline)):
        hits = hits_of(pairs, evaluated, ranked, len(bundle.item_ids))
        for name, (metric, k) in USER_METRICS.items():
            values = metric(hits, relevant, k)
            metrics[prefix + name] = float(values.mean())
            if name == "ndcg_at_10":
                ndcg[prefix] = values
        metrics[prefix + "coverage_at_10"] = coverage(ranked, len(bundle.item_ids), 10)
    return Evaluation(metrics, ndcg[""], ndcg["popularity_"])


def hits_of(
    pairs: NDArray[np.int64], evaluated: NDArray[np.int64], ranked: NDArray[np.int32], movies: int
) -> NDArray[np.bool_]:
    """(B, K) whether the movie at each place is among the sorted relevant `pairs` (user row x movies + movie row)."""
    keys = evaluated[:, None] * movies + ranked
    places = np.minimum(np.searchsorted(pairs, keys), len(pairs) - 1)
    return np.asarray((pairs[places] == keys) & (ranked >= 0))


def rows_of(
    known: NDArray[np.bytes_], ids: NDArray[np.bytes_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Row of each id in the ascending `known` (some row where it is absent), and whether it is there."""
    width = max(known.dtype.itemsize, ids.dtype.itemsize)
    wide, keys = known.astype(f"S{width}"), ids.astype(f"S{width}")
    places = np.minimum(np.searchsorted(wide, keys), max(len(known) - 1, 0))
    there = wide[places] == keys if len(known) else np.zeros(len(keys), bool)
    return places.astype(np.int64), np.asarray(there)


def encode(ids: Sequence[str]) -> NDArray[np.bytes_]:
    return np.array([key.encode() for key in ids], dtype="S") if ids else np.empty(0, "S1")
