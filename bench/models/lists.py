"""What the settings of lists do on MovieLens 100k: `python -m bench lists`.

A model of each user's first four fifths makes lists as they are published, corrected and calibrated
or not, and they are judged by the last fifth.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.goals import goal
from bench.models.chain import movielens, train
from movierec_assets.evaluation.metrics import LONGEST, coverage, ndcg
from movierec_assets.evaluation.offline import encode, evaluate, rows_of
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.ratings.catalogue import parse_movies
from movierec_assets.ratings.interactions import Interactions, interactions_of
from movierec_serving.bundle import TOP_N, Model, Ranker, Ranking, liked
from movierec_serving.bundle.calibration import SMOOTHING, TINY, Floats, shares, taste

CORRECTIONS, CALIBRATIONS = (0.0, 0.1, 0.2, 0.3), (0.0, 0.1, 0.3, 0.6)
HEAD = 0.2  # of the movies, the most rated: what is relevant beyond them is the tail
LANDING = Path("warehouse/landing")

Lists = NDArray[np.int32]


def genres_of(model: Model, catalogue: Path) -> NDArray[np.bool_]:
    """(I, G) of the model's items."""
    movies = parse_movies(catalogue.read_bytes(), catalogue.name)
    known = dict(zip(movies["movie_id"], movies["genres"], strict=True))
    names = sorted({genre for genres in known.values() for genre in genres})
    rows = [known.get(model.item_id(row), []) for row in range(len(model.item_ids))]
    return np.array([[name in genres for name in names] for genres in rows])


def tail_ndcg(model: Model, held: Interactions, users: NDArray[np.int64], lists: Lists) -> float:
    """Mean NDCG@10 over users who liked a movie beyond the most rated, where only such count."""
    order = np.argsort(-model.popularity, kind="stable")
    tail = np.ones(len(order), bool)
    tail[order[: int(HEAD * len(order))]] = False
    rows, known = rows_of(model.item_ids, encode(held.movie_ids))
    people, _ = rows_of(model.user_ids, encode(held.user_ids))
    movies, whose = rows[held.movies], people[held.users]
    praised = liked(held.ratings, model.user_means[whose]) & known[held.movies] & tail[movies]
    relevant = [set(movies[praised & (whose == user)].tolist()) for user in users.tolist()]
    some = [place for place, wanted in enumerate(relevant) if wanted]
    hits = np.array([[row in relevant[n] for row in lists[n, :10].tolist()] for n in some])
    return float(ndcg(hits, np.array([len(relevant[n]) for n in some]), 10).mean())


def miscalibration(model: Model, genres: NDArray[np.bool_], lists: Lists) -> float:
    """Mean KL(p || q) in nats of the first 10 against each user's taste."""
    indptr = model.seen_indptr
    rated = [slice(indptr[user], indptr[user + 1]) for user in range(len(lists))]
    tastes = [taste(genres[model.seen_items[own]], model.seen_confidence[own]) for own in rated]
    listed = np.where(lists[:, :10, None] >= 0, shares(genres)[lists[:, :10]], 0.0).sum(axis=1)
    return float(divergence(np.array(tastes), listed).mean())


def main() -> bool:
    """The table; whether the goals are met."""
    try:
        ratings = movielens(LANDING / "ratings")
    except FileNotFoundError as error:
        print(error)
        return True
    data = interactions_of(ratings)
    held = temporal_holdout(data)
    model, later = train(data.select(~held)), data.select(held)
    genres = genres_of(model, LANDING / "movies.csv")
    print("| correction | calibration | NDCG@10 | of today's | tail | coverage@10 | novelty | KL |")
    print("|---|---|---|---|---|---|---|---|")
    measured: dict[tuple[float, float], tuple[float, ...]] = {}
    for calibration in CALIBRATIONS:
        for correction in CORRECTIONS:
            ranking = Ranking(popularity_correction=correction, calibration=calibration)
            ranker = Ranker(model, ranking, genres, None)
            lists = ranker.of_users(np.arange(len(model.user_ids)), TOP_N)[0]
            judged: list[NDArray[np.int64]] = []

            def rank(
                users: NDArray[np.int64],
                lists: Lists = lists,
                judged: list[NDArray[np.int64]] = judged,
            ) -> Lists:
                judged.append(users)
                return lists[users, :LONGEST]

            metrics, users = evaluate(model, later, rank).metrics, judged[0]
            measured[correction, calibration] = (
                metrics["ndcg_at_10"],
                metrics["ndcg_at_10"] / measured.get((0.0, 0.0), (metrics["ndcg_at_10"],))[0],
                tail_ndcg(model, later, users, lists[users]),
                coverage(lists, len(model.item_ids), 10),
                metrics["novelty_at_10"],
                miscalibration(model, genres, lists),
            )
            figures = " | ".join(f"{figure:.4f}" for figure in measured[correction, calibration])
            print(f"| {correction} | {calibration} | {figures} |", flush=True)
    plain, corrected, calibrated = measured[0.0, 0.0], measured[0.2, 0.0], measured[0.0, 0.1]
    tail = corrected[2] / plain[2]
    return all(
        [
            goal("lists, tail NDCG@10 corrected by 0.2 over plain", tail, 1.5, at_most=False),
            goal("lists, KL calibrated by 0.1 over plain", calibrated[5] / plain[5], 0.5),
        ]
    )


def divergence(wanted: Floats, listed: Floats) -> Floats:
    """(...,) KL(p || q) in nats along the last axis, q smoothed by p.

    Args:
        wanted: (..., G) p, which sums to 1.
        listed: (..., G) masses of the list's genres, normalised here; zeros for no genre at all.
    """
    total = listed.sum(axis=-1, keepdims=True)
    q = (1 - SMOOTHING) * listed / np.maximum(total, TINY) + SMOOTHING * wanted
    ratio = np.divide(wanted, q, out=np.ones_like(q), where=wanted > 0)
    return np.asarray((wanted * np.log(ratio)).sum(axis=-1))
