"""A model, evaluated on held-out ratings with the code that serves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from movierec_assets.evaluation.judged import Judged, Pairs
from movierec_assets.evaluation.metrics import (
    LONGEST,
    MOVIE_SEGMENTS,
    USER_SEGMENTS,
    Hits,
    against_dislikes,
    coverage,
    means,
    movie_segments,
    ndcg,
    novelty,
)
from movierec_assets.evaluation.splits import sample
from movierec_assets.ratings.interactions import Interactions
from movierec_serving.bundle import MOST_DISLIKED, Model, liked, popular, recommend


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

    Relevant is a held-out movie that the user liked (`taste.liked`) and that training has seen;
    users without one are left out, and of more than `MAX_USERS` users a sample is taken. Lists hold
    only movies that the user has not rated in training. In a segment of movies only these are
    relevant, in the same lists.

    Args:
        model: trained without `held`.
        rank: makes the lists that are judged; else the bundle's own are.
    """
    judged = _judged(model, held)
    metrics = {"users": float(len(judged.users)), "holdout_ratings": float(len(held))}
    if not len(judged.users):
        return Evaluation(metrics, np.zeros(0), np.zeros(0))
    # Of few users at a time: threads cost several times what they save.
    with threadpool_limits(1, "blas"):
        lists = rank(judged.users) if rank else recommend(model, judged.users, LONGEST)[0]
    hits = judged.hits(lists)
    by_popularity = _popular_lists(model, judged.users, lists.shape[1])
    popular_hits = judged.hits(by_popularity)
    whole = _means(model, judged, by_popularity, popular_hits)
    metrics |= {f"popularity_{name}": value for name, value in whole.items()}
    metrics |= _means(model, judged, lists, hits)
    segments = {
        **_by_user_segment(model, judged, hits),
        **_by_movie_segment(model, judged, lists, hits),
    }
    for part, values in segments.items():
        metrics |= {f"{part}/{name}": value for name, value in values.items()}
    own, others = ndcg(hits, judged.liked, 10), ndcg(popular_hits, judged.liked, 10)
    return Evaluation(metrics, own, others)


def _judged(model: Model, held: Interactions) -> Judged:
    """The sampled users that the model knows, with what they liked among the movies it knows."""
    users, known_user = rows_of(model.user_ids, encode(held.user_ids))
    movies, known_movie = rows_of(model.item_ids, encode(held.movie_ids))
    sampled = np.zeros(len(model.user_ids), bool)
    sampled[sample(model.user_ids)] = True
    asked = (known_user & sampled[users])[held.users] & known_movie[held.movies]
    means = model.user_means[users[held.users]]

    def pairs(mask: NDArray[np.bool_]) -> Pairs:
        among = asked & mask
        return Pairs.of(users[held.users[among]], movies[held.movies[among]], len(model.item_ids))

    return Judged(
        relevant=pairs(liked(held.ratings, means)),
        disliked=pairs(held.ratings <= MOST_DISLIKED),
    )


def _popular_lists(model: Model, users: NDArray[np.int64], width: int) -> NDArray[np.int32]:
    """(B, width) the most popular movies that each user has not seen; -1 where none is left."""
    lists = np.full((len(users), width), -1, np.int32)
    for place, user in enumerate(users.tolist()):
        best = popular(model, LONGEST, model.seen(user))
        lists[place, : len(best)] = best
    return lists


def _means(model: Model, judged: Judged, lists: NDArray[np.int32], hits: Hits) -> dict[str, float]:
    """The metrics of these lists over all judged users."""
    popularity = np.asarray(model.popularity)
    averages = {
        **means(hits, judged.liked),
        **against_dislikes(hits, judged.dislikes(lists), judged.liked),
        "coverage_at_10": coverage(lists, len(model.item_ids), 10),
        "novelty_at_10": novelty(lists, popularity, len(model.user_ids), 10),
    }
    return {name: value for name, value in averages.items() if name != "users"}


def _by_user_segment(model: Model, judged: Judged, hits: Hits) -> dict[str, dict[str, float]]:
    """Means over the users that rated so many movies in training."""
    rated = np.diff(model.seen_indptr)[judged.users]
    segments = {}
    for name, (least, below) in USER_SEGMENTS.items():
        within = (rated >= least) & (rated < (below or np.inf))
        segments[name] = means(hits[within], judged.liked[within])
    return segments


def _by_movie_segment(
    model: Model, judged: Judged, lists: NDArray[np.int32], hits: Hits
) -> dict[str, dict[str, float]]:
    """Means over the users that liked a movie of a segment, where only such a movie is a hit."""
    segments = movie_segments(np.asarray(model.popularity))
    by_segment = {}
    for segment, name in enumerate(MOVIE_SEGMENTS):
        liked = judged.liked_among(segments == segment)
        own_hits, fans = hits & (segments[lists] == segment), liked > 0
        by_segment[name] = means(own_hits[fans], liked[fans])
    return by_segment


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
    """(N,) ids as bytes, which a bundle's are compared with."""
    return np.array([key.encode() for key in ids], dtype="S") if ids else np.empty(0, "S1")
