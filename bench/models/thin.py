"""What blending the vectors of movies of few ratings with their content is worth, as published.

A fifth of the movies, by a hash of the id, five times, keep 1, 2, 4 or 8 of their ratings in
training. For each user who liked some of the others' ratings of them: recall@50 among these movies
alone, and in the whole list. All movies: NDCG@10 on the last fifth of each user's ratings; of
smaller sites, too, since there nearly every movie has few ratings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.goals import goal
from bench.models.chain import defaults, movielens, train
from bench.models.generator import frame, generate
from bench.models.unrated import (
    FOLDS,
    K,
    Scores,
    generated_catalogue,
    genre_popularity,
    lower,
    movielens_catalogue,
    recall_of,
)
from movierec_assets.evaluation.offline import evaluate
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.promotion.interval import interval
from movierec_assets.ratings.interactions import Interactions, interactions_of
from movierec_assets.training.als import ALS
from movierec_serving.bundle import Model, Movie
from movierec_serving.bundle.catalogue_writer import catalogue_of
from movierec_serving.bundle.taste import SURELY_LIKED
from movierec_serving.bundle.thin import blended

KEPT = (1, 2, 4, 8)
SITES = {0.03: 30, 0.06: 20, 0.1: 14, 0.25: 6, 0.5: 4}  # share of the users, and how many draws


def _hash(text: str) -> int:
    return crc32(text.encode())


def thinned(ratings: pd.DataFrame, fold: int) -> tuple[dict[str, int], NDArray[np.bool_]]:
    """How many ratings each movie of a fold keeps, and (N,) which ratings are taken out."""
    counts = ratings["movie_id"].value_counts()
    rich = counts.index[counts > max(KEPT)]
    kept = {id_: KEPT[_hash(f"kept {id_}") % 4] for id_ in rich if _hash(id_) % FOLDS == fold}
    pairs = zip(ratings["user_id"], ratings["movie_id"], strict=True)
    places = pd.Series([_hash(f"{user} {movie}") for user, movie in pairs], ratings.index)
    rank = places.groupby(ratings["movie_id"]).rank(method="first")
    return kept, (rank > ratings["movie_id"].map(kept).fillna(np.inf)).to_numpy()


def recall(name: str, ratings: pd.DataFrame, movies: Mapping[str, Movie]) -> None:
    """A table of recall@50, the mean of a user's folds, and the goals."""
    found: dict[str, list[pd.Series]] = {}
    for fold in range(FOLDS):
        kept, out = thinned(ratings, fold)
        data = interactions_of(ratings[~out])
        model = train(data, defaults(ALS, len(data)))
        rows = model.item_rows(sorted(kept))
        liked = _liked(ratings[out], model, rows)
        for ranker, scores in _scores(model, data, movies, rows):
            found.setdefault(ranker, []).append(recall_of(scores, liked, model))
    users = {ranker: pd.concat(its).groupby(level=0).mean() for ranker, its in found.items()}
    print(f"\n{name}, recall@{K} of what was liked of movies of 1 to 8 ratings\n")
    print(f"| | mean | one-sided 95 % lower bound |\n|{'---|' * 3}")
    for ranker, its in users.items():
        print(f"| {ranker} | {its.mean():.3f} | {lower(its):.3f} |")
    own = users["blended"]
    for other in ("trained", "genre popularity"):
        more = lower(own - users[other])
        goal(f"{name}, thin movies, lower bound above {other}", more, 0, at_most=False)


def _scores(
    model: Model, data: Interactions, movies: Mapping[str, Movie], rows: NDArray[np.int64]
) -> Iterator[tuple[str, Scores]]:
    """(U, thin movies) by each ranker; -inf for what the user has seen. In whole lists also for
    what is beyond the first 50 places.
    """
    catalogue = catalogue_of(np.array(data.movie_ids, "S"), movies)
    users = np.repeat(np.arange(len(model.user_ids)), np.diff(model.seen_indptr))
    vectors = model.user_vectors(range(len(model.user_ids)))
    scores = {
        "trained": vectors @ model.item_vectors.T,
        "blended": vectors @ _as_published(model, movies).item_vectors.T,
        "genre popularity": genre_popularity(data, catalogue.item_genres),
    }
    for ranker, its in scores.items():
        its[users, model.seen_items] = -np.inf
        yield ranker, its[:, rows]
    for ranker in ("trained", "blended"):
        least = np.partition(scores[ranker], -K, axis=1)[:, -K:].min(1, keepdims=True)
        listed = np.where(scores[ranker] >= least, scores[ranker], -np.inf)
        yield f"{ranker}, in whole lists", listed[:, rows]


def _liked(held: pd.DataFrame, model: Model, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(U, thin movies) what each user liked of them that training has not seen."""
    praised = held[held["rating"] >= SURELY_LIKED]
    places = {model.item_id(row): place for place, row in enumerate(rows.tolist())}
    liked = np.zeros((len(model.user_ids), len(rows)), np.bool_)
    for user, movie in zip(praised["user_id"], praised["movie_id"], strict=True):
        if (row := model.user_row(user)) is not None:
            liked[row, places[movie]] = True
    return liked


def _as_published(model: Model, movies: Mapping[str, Movie]) -> Model:
    return replace(model, blended=blended(model, catalogue_of(model.item_ids, movies)))


def all_movies(name: str, sets: list[pd.DataFrame], movies: Mapping[str, Movie]) -> None:
    """NDCG@10 over all movies, blended against trained, of the users of one or more sites."""
    scores = np.zeros((0, 2))
    for ratings in sets:
        data = interactions_of(ratings)
        held = temporal_holdout(data)
        training = data.select(~held)
        model = train(training, defaults(ALS, len(training)))
        models = _as_published(model, movies), model
        both = [evaluate(ranked, data.select(held)).ndcg_at_10 for ranked in models]
        scores = np.concatenate([scores, np.transpose(both)])
    ratio = interval(scores[:, 0], scores[:, 1], margin=0.01, level=0.95)
    print(f"\n{name}: {len(scores)} users, blended over trained {1 + ratio.difference:.3f}")
    goal(f"{name}, NDCG@10 of all movies, lower bound", 1 + ratio.lower, 0.99, at_most=False)


def _site(ratings: pd.DataFrame, share: float, draw: int) -> pd.DataFrame:
    users = [
        user for user in ratings["user_id"].unique() if _hash(f"{draw} {user}") < share * 2**32
    ]
    return ratings[ratings["user_id"].isin(users)]


def main() -> None:
    try:
        ratings, movies = movielens(), movielens_catalogue()
    except FileNotFoundError as error:
        print(error)
    else:
        recall("MovieLens 100k", ratings, movies)
        all_movies("MovieLens 100k", [ratings], movies)
        for share, draws in SITES.items():
            sites = [_site(ratings, share, draw) for draw in range(draws)]
            all_movies(f"MovieLens 100k, sites of {share:.0%} of its users", sites, movies)
    size = {"users": 3000, "movies": 2500, "ratings": 600_000, "days": 200, "seed": 2}
    generated = frame(generate(**size, drift=0.2))
    recall("generated", generated, generated_catalogue(generated))
    all_movies("generated", [generated], generated_catalogue(generated))
