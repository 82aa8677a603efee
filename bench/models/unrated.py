"""What movies are worth that the model has never seen, ranked by what the catalogue says of them.

A fifth of the movies, by a hash of the id, is taken out of training, five times. For each user who
liked some of them: recall@50 among them alone. `/latest?by=taste` ranks so.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.goals import goal
from bench.models.chain import defaults, movielens, train
from bench.models.generator import GENRES, NICHES, frame, generate
from movierec_assets.ratings.interactions import Interactions, interactions_of
from movierec_assets.training.als import ALS
from movierec_serving.bundle import Model, Movie
from movierec_serving.bundle.catalogue import Catalogue
from movierec_serving.bundle.catalogue_writer import catalogue_of
from movierec_serving.bundle.taste import SURELY_LIKED
from movierec_serving.bundle.unrated import Unrated

FOLDS = 5
K = 50
Scores = NDArray[np.floating]


def movielens_catalogue(path: Path = Path("warehouse/landing/movies.csv")) -> dict[str, Movie]:
    with path.open(newline="") as file:
        return {
            row["movie_id"]: Movie(
                row["movie_id"],
                row["title"],
                tuple(filter(None, row["genres"].split("|"))),
                int(row["year"]) if row["year"] else None,
            )
            for row in csv.DictReader(file)
        }


def generated_catalogue(ratings: pd.DataFrame) -> dict[str, Movie]:
    """Genres and niches are what the generator ranks by; it has no years."""
    return {
        id_: Movie(id_, None, (f"genre {int(id_) % GENRES}", _niche(int(id_))))
        for id_ in ratings["movie_id"].unique()
    }


def _niche(movie: int) -> str:
    return f"niche {movie % GENRES}.{movie // GENRES % NICHES}"


def recall(name: str, ratings: pd.DataFrame, movies: Mapping[str, Movie]) -> None:
    """A table of recall@50 over chance, the mean of a user's folds, and the goals."""
    folds = ratings["movie_id"].map({id_: crc32(id_.encode()) % FOLDS for id_ in movies})
    ratios: dict[str, list[pd.Series]] = {}
    for fold in range(FOLDS):
        held, data = ratings[folds == fold], interactions_of(ratings[folds != fold])
        model = train(data, defaults(ALS, len(data)))
        catalogue = catalogue_of(np.array(data.movie_ids, "S"), movies)
        chance = K / (len(catalogue) - len(data.movie_ids))
        liked = _liked(held, model, catalogue)
        for ranker, scores in _scores(model, data, catalogue).items():
            ratios.setdefault(ranker, []).append(recall_of(scores, liked, model) / chance)
    print(f"\n{name}, recall@{K} among unrated movies over chance\n")
    print(f"| | mean | one-sided 95 % lower bound |\n|{'---|' * 3}")
    users = {ranker: pd.concat(its).groupby(level=0).mean() for ranker, its in ratios.items()}
    for ranker, its in users.items():
        print(f"| {ranker} | {its.mean():.2f} | {lower(its):.2f} |")
    content = users.pop("content")
    best = max(users, key=lambda ranker: users[ranker].mean())
    goal(f"{name}, unrated movies, lower bound over chance", lower(content), 3, at_most=False)
    more = lower(content - users[best])
    goal(f"{name}, unrated movies, lower bound above {best}", more, 0, at_most=False)


def _scores(model: Model, data: Interactions, catalogue: Catalogue) -> dict[str, Scores]:
    """(U, new movies) by content; by how often a movie of the genres is liked; by taste in genres;
    by both.
    """
    first, genres = len(data.movie_ids), catalogue.item_genres.astype(np.float64)
    known, shares = genres[:first], genres / np.maximum(genres.sum(1, keepdims=True), 1)
    praised = data.ratings >= SURELY_LIKED
    popular = _likes_by_genre(data, known)
    taste = np.zeros((len(data.user_ids), genres.shape[1]))
    np.add.at(taste, data.users[praised], shares[data.movies[praised]])
    taste /= np.maximum(taste.sum(1, keepdims=True), 1)
    new = shares[first:].T
    return {
        "content": model.user_vectors(range(len(taste))) @ Unrated(model, catalogue).vectors.T,
        "genre popularity": np.tile(popular @ new, (len(taste), 1)),
        "genres of the user": taste @ new,
        "both": (taste * popular) @ new,
    }


def genre_popularity(data: Interactions, genres: NDArray[np.bool_]) -> Scores:
    """(U, I) of the rated movies: how often a movie of their genres is liked; for all users."""
    known = genres[: len(data.movie_ids)].astype(np.float64)
    shares = known / np.maximum(known.sum(1, keepdims=True), 1)
    return np.tile(shares @ _likes_by_genre(data, known), (len(data.user_ids), 1))


def _likes_by_genre(data: Interactions, known: NDArray[np.float64]) -> NDArray[np.float64]:
    """(G,) how often a movie of each genre is liked, from (I, G) the movies' genres."""
    praised = data.ratings >= SURELY_LIKED
    likes = np.bincount(data.movies[praised], minlength=len(known))
    return np.asarray((likes @ known) / np.maximum(known.sum(0), 1))


def _liked(held: pd.DataFrame, model: Model, catalogue: Catalogue) -> NDArray[np.bool_]:
    """(U, new movies) what each user liked of them."""
    first = len(model.item_ids)
    liked = np.zeros((len(model.user_ids), len(catalogue) - first), np.bool_)
    for user, movie in held.loc[held["rating"] >= SURELY_LIKED, ["user_id", "movie_id"]].values:
        row, column = model.user_row(user), catalogue.row(movie)
        if row is not None and column is not None:
            liked[row, column - first] = True
    return liked


def recall_of(scores: Scores, liked: NDArray[np.bool_], model: Model) -> pd.Series:
    """Recall@50 of the users who liked one, by id; a score of -inf is no place."""
    rows = np.flatnonzero(liked.any(1))
    first = np.argsort(-scores[rows], axis=1, kind="stable")[:, :K]
    hits = np.take_along_axis(liked[rows] & np.isfinite(scores[rows]), first, 1).sum(1)
    return pd.Series(hits / liked[rows].sum(1), index=model.user_ids[rows])


def lower(values: pd.Series) -> float:
    return float(values.mean() - 1.645 * values.std() / len(values) ** 0.5)


def main() -> None:
    try:
        ratings = movielens()
        recall("MovieLens 100k", ratings, movielens_catalogue())
    except FileNotFoundError as error:
        print(error)
    size = {"users": 3000, "movies": 2500, "ratings": 600_000, "days": 200, "seed": 2}
    generated = frame(generate(**size, drift=0.2))
    recall("generated", generated, generated_catalogue(generated))
