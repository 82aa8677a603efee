"""A model, evaluated on held-out ratings with the code that serves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from movierec_assets.evaluation.metrics import (
    LONGEST,
    MOVIE_SEGMENTS,
    USER_SEGMENTS,
    coverage,
    means,
    movie_segments,
    ndcg,
    novelty,
)
from movierec_assets.evaluation.splits import sample
from movierec_assets.ratings.interactions import Interactions
from movierec_serving.bundle import Model, popular, recommend

RELEVANT_STARS = 4.0


@dataclass(frozen=True)
class Evaluation:
    """Means by name (`segment/metric` for a part of users or movies); (B,) NDCG@10 of each user,
    and popularity's.
    """

    metrics: dict[str, float]
    ndcg_at_10: NDArray[np.float64]
    popularity_ndcg_at_10: NDArray[np.float64]


# (B,) user rows to (B, LONGEST) movie rows, -1 for none
Rank = Callable[[NDArray[np.int64]], NDArray[np.int32]]


def evaluate(model: Model, held: Interactions, rank: Rank | None = None) -> Evaluation:
    """Rank each user's unseen movies and compare with what the user liked later, beside popularity.

    Relevant is a held-out rating of 4 stars or more of a movie seen in training; users without one
    are left out, and of more than `MAX_USERS` users a sample is taken. Lists hold only movies that
    the user has not rated in training. In a segment of movies only these are relevant, in the same
    lists.

    Args:
        model: trained without `held`.
        rank: makes the lists that are judged; else the bundle's own are.
    """
    movies = len(model.item_ids)
    user_rows, found_user = rows_of(model.user_ids, encode(held.user_ids))
    movie_rows, found_movie = rows_of(model.item_ids, encode(held.movie_ids))
    sampled = np.zeros(len(model.user_ids), bool)
    sampled[sample(model.user_ids)] = True
    judged = (found_user & sampled[user_rows])[held.users] & found_movie[held.movies]
    keep = judged & (held.ratings >= RELEVANT_STARS)
    pairs = np.sort(
        user_rows[held.users[keep]].astype(np.int64) * movies + movie_rows[held.movies[keep]]
    )
    users, relevant = np.unique(pairs // max(movies, 1), return_counts=True)
    metrics = {"users": float(len(users)), "holdout_ratings": float(len(held))}
    if not len(users):
        return Evaluation(metrics, np.zeros(0), np.zeros(0))
    popularity = np.asarray(model.popularity)
    with threadpool_limits(
        1, "blas"
    ):  # of 32 users at a time: threads cost several times what they save
        lists = rank(users) if rank else recommend(model, users, LONGEST)[0]
    by_popularity = np.full(lists.shape, -1, np.int32)
    for place, user in enumerate(users.tolist()):
        best = popular(model, LONGEST, model.seen(user))
        by_popularity[place, : len(best)] = best
    each: list[NDArray[np.float64]] = []
    for prefix, ranked in (("popularity_", by_popularity), ("", lists)):
        hits = hits_of(pairs, users, ranked, movies)
        each.append(ndcg(hits, relevant, 10))
        whole = {
            **means(hits, relevant),
            "coverage_at_10": coverage(ranked, movies, 10),
            "novelty_at_10": novelty(ranked, popularity, len(model.user_ids), 10),
        }
        metrics |= {prefix + name: value for name, value in whole.items() if name != "users"}
    rated = np.diff(model.seen_indptr)[users]
    parts = {}
    for name, (least, below) in USER_SEGMENTS.items():
        chosen = (rated >= least) & (rated < (below or np.inf))
        parts[name] = means(hits[chosen], relevant[chosen])
    segment = movie_segments(popularity)
    for place, name in enumerate(MOVIE_SEGMENTS):
        of_segment = np.searchsorted(users, pairs[segment[pairs % movies] == place] // movies)
        counts = np.bincount(of_segment, minlength=len(users))
        parts[name] = means((hits & (segment[lists] == place))[counts > 0], counts[counts > 0])
    metrics |= {
        f"{part}/{name}": value for part, found in parts.items() for name, value in found.items()
    }
    return Evaluation(metrics, each[1], each[0])


def hits_of(
    pairs: NDArray[np.int64], evaluated: NDArray[np.int64], ranked: NDArray[np.int32], movies: int
) -> NDArray[np.bool_]:
    """(B, K) whether the movie at each place is among the sorted relevant `pairs` (user row x
    movies + movie row).
    """
    keys = evaluated[:, None] * movies + ranked
    places = np.minimum(np.searchsorted(pairs, keys), len(pairs) - 1)
    return np.asarray((pairs[places] == keys) & (ranked >= 0))


def rows_of(
    known: NDArray[np.bytes_], ids: NDArray[np.bytes_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Row of each id in the ascending `known` (some row where it is absent), and whether it is
    there.
    """
    width = max(known.dtype.itemsize, ids.dtype.itemsize)
    wide, keys = known.astype(f"S{width}"), ids.astype(f"S{width}")
    places = np.minimum(np.searchsorted(wide, keys), max(len(known) - 1, 0))
    there = wide[places] == keys if len(known) else np.zeros(len(keys), bool)
    return places.astype(np.int64), np.asarray(there)


def encode(ids: Sequence[str]) -> NDArray[np.bytes_]:
    return np.array([key.encode() for key in ids], dtype="S") if ids else np.empty(0, "S1")
