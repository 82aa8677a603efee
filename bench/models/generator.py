"""Ratings as a platform gets them: deterministic, day by day, with a taste to learn."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from bench.goals import goal
from bench.models.chain import train
from movierec_assets.evaluation.metrics import ndcg
from movierec_assets.evaluation.offline import evaluate
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.ratings.interactions import Interactions, interactions_of
from movierec_serving.bundle.taste import SURELY_LIKED

GENRES = 8
NICHES = 4  # in each genre: which of its movies a user prefers
OWN_NICHE = 0.6  # share of a user's choices that stay in the niche
ZIPF, OFFSET = 0.9, 10.0  # popularity within a genre: 1 / (rank + OFFSET) ** ZIPF
SESSION = 3.0  # mean of the log of a session's ratings (about 20 at the median)
NEW_USERS = 0.5  # share of a day's sessions that are somebody's first
STARS_NOISE = 0.7  # standard deviation of the stars around what taste, niche and quality make them
FIRST_DAY = date(2020, 1, 1)


@dataclass(frozen=True)
class Ratings:
    """A day's ratings, in order of time: (N,) each; stars in halves, seconds since 1970."""

    day: str
    users: NDArray[np.int32]
    movies: NDArray[np.int32]
    stars: NDArray[np.float32]
    rated_at: NDArray[np.int64]

    def frame(self) -> pd.DataFrame:
        """(user_id, movie_id, rating, rated_at), with ids as a site has them."""
        return pd.DataFrame(
            {
                "user_id": np.char.add("u", self.users.astype(str)),
                "movie_id": np.char.add("m", self.movies.astype(str)),
                "rating": self.stars,
                "rated_at": self.rated_at,
            }
        )

    def as_csv(self) -> bytes:
        """A chunk as it is delivered."""
        return self.frame().rename(columns={"rated_at": "timestamp"}).to_csv(index=False).encode()


@dataclass(frozen=True)
class Truth:
    """What decides the ratings: (U, G) taste, (U,) niche and whether the taste moves, (I,)
    quality.
    """

    taste: NDArray[np.float32]
    niche: NDArray[np.int32]
    quality: NDArray[np.float32]
    drifts: NDArray[np.bool_]
    days: int

    @classmethod
    def of(cls, *, users: int, movies: int, days: int, seed: int, drift: float) -> Truth:
        setup = np.random.default_rng([seed, 0])
        taste = setup.dirichlet(np.full(GENRES, 0.3), users).astype(np.float32)
        niche = setup.integers(NICHES, size=users, dtype=np.int32)
        quality = setup.normal(0, 0.4, movies).astype(np.float32)
        return cls(taste, niche, quality, setup.random(users) < drift, days)

    def movies_of_a_genre(self, nth: int) -> int:
        """How many there are on the nth day."""
        return max(int(len(self.quality) * (0.1 + 0.9 * nth / self.days)) // GENRES, NICHES)

    def likes(self, user: int, nth: int) -> NDArray[np.float64]:
        """(I,) probability that a rating of the user on the nth day is of this movie and has 4
        stars or more.
        """
        there = self.movies_of_a_genre(nth)
        ranks = _mass(there)
        position = np.arange(there)
        liking = (1 - OWN_NICHE) * ranks
        np.add.at(
            liking, (position // NICHES * NICHES + self.niche[user]) % there, OWN_NICHE * ranks
        )
        moved = int(self.drifts[user] and 2 * nth >= self.days)
        scores = np.zeros(len(self.quality))
        for drawn, share in enumerate(self.taste[user]):
            genre = (drawn + moved) % GENRES
            movies = position * GENRES + genre
            stars = (
                3.0 + 1.2 * self.taste[user, genre] + 0.5 * (position % NICHES == self.niche[user])
            )
            scores[movies] += (
                share * liking * ndtr((stars + self.quality[movies] - 3.75) / STARS_NOISE)
            )
        return scores


def optimal_ndcg(
    truth: Truth, data: Interactions, held: NDArray[np.bool_], sample: int = 500
) -> float:
    """NDCG@10 of whoever knows the truth, on a sample of users: by the probability of each unseen
    movie on the day.

    By what a twin is judged by: held-out ratings of 4 stars, movies that are in training.
    """
    first = int(data.rated_at.min()) // 86_400
    trained = np.bincount(data.movies[~held], minlength=len(data.movie_ids)) > 0
    names = np.array(data.movie_ids).astype(np.int64)
    scores = []
    for user in np.random.default_rng(0).permutation(len(data.user_ids))[:sample]:
        mine = data.users == user
        liked = data.movies[mine & held & (data.ratings >= SURELY_LIKED)]
        liked = liked[trained[liked]]
        if len(liked):
            nth = int(data.rated_at[mine & held].min()) // 86_400 - first
            likes = truth.likes(int(data.user_ids[user]), nth)[names]
            likes[~trained] = likes[data.movies[mine & ~held]] = -1
            best = np.argsort(-likes, kind="stable")[:10]
            scores.append(ndcg(np.isin(best, liked)[None], np.array([len(liked)]), 10)[0])
    return float(np.mean(scores))


def generate(
    *, users: int, movies: int, ratings: int, days: int, seed: int = 0, drift: float = 0.0
) -> Iterator[Ratings]:
    """About `ratings` ratings over `days`, some 8 % fewer at the size of MovieLens 25M: doubles
    within a day go.

    A user arrives with a first session and may come back; a tenth of the movies is there on the
    first day, the others arrive evenly. A rating picks a genre by the user's taste, then a movie of
    the genre by a long-tailed popularity, mostly within the user's niche; the stars follow taste,
    niche and the movie's quality.

    Args:
        drift: share of the users whose taste moves to the next genre in the second half of the
            days.
    """
    truth = Truth.of(users=users, movies=movies, days=days, seed=seed, drift=drift)
    taste, niche, quality, drifts = truth.taste, truth.niche, truth.quality, truth.drifts
    cumulative = taste.cumsum(axis=1)
    per_day = ratings / days
    for nth in range(days):
        random = np.random.default_rng([seed, 1, nth])
        arrived = max(int(users * (nth + 1) / days), 1)
        new = np.arange(int(users * nth / days), arrived)
        mean_session = np.exp(SESSION + 0.5)
        back = (
            arrived
            - 1
            - random.exponential(arrived / 4, max(int(per_day / mean_session * (1 - NEW_USERS)), 1))
        )
        people = np.concatenate([new, np.clip(back, 0, None)]).astype(np.int32)
        lengths = random.lognormal(SESSION, 1.0, len(people))
        lengths = np.maximum(lengths * per_day / lengths.sum(), 1).astype(np.int64)
        who = np.repeat(people, lengths)
        start = np.repeat(random.integers(0, 80_000, len(people)), lengths)
        genre = (random.random(len(who), np.float32)[:, None] > cumulative[who, :-1]).sum(axis=1)
        if 2 * nth >= days:
            genre = (genre + drifts[who]) % GENRES
        there = truth.movies_of_a_genre(nth)
        position = _zipf(random.random(len(who)), there)
        stays = random.random(len(who), np.float32) < OWN_NICHE
        position = np.where(stays, position // NICHES * NICHES + niche[who], position) % there
        movie = (position * GENRES + genre).astype(np.int32)
        stars = (
            3.0 + 1.2 * taste[who, genre] + 0.5 * (position % NICHES == niche[who]) + quality[movie]
        )
        stars = np.clip(
            np.round(2 * (stars + random.normal(0, STARS_NOISE, len(who)))) / 2, 0.5, 5.0
        ).astype(np.float32)
        day = FIRST_DAY + timedelta(days=nth)
        midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        rated_at = midnight + np.minimum(start + random.integers(0, 3600, len(who)), 86_399)
        _, once = np.unique(who.astype(np.int64) * movies + movie, return_index=True)
        once = once[np.argsort(rated_at[once], kind="stable")]
        yield Ratings(day.isoformat(), who[once], movie[once], stars[once], rated_at[once])


def _zipf(uniform: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Ranks 0..count - 1 with density 1 / (rank + OFFSET) ** ZIPF, by the inverse of its
    integral.
    """
    power = 1 - ZIPF
    low, high = OFFSET**power, (count + OFFSET) ** power
    ranks = (low + uniform * (high - low)) ** (1 / power) - OFFSET
    return np.minimum(ranks.astype(np.int64), count - 1)


def _mass(count: int) -> NDArray[np.float64]:
    """(count,) probability of each rank that `_zipf` draws."""
    edges = (np.arange(count + 1) + OFFSET) ** (1 - ZIPF)
    return np.diff(edges) / (edges[-1] - edges[0])


def frame(days: Iterator[Ratings]) -> pd.DataFrame:
    """All days as `interactions_of` takes them; a movie is rated once by a user."""
    parts = [
        pd.DataFrame(
            {
                "user_id": ratings.users,
                "movie_id": ratings.movies,
                "rating": ratings.stars,
                "rated_at": ratings.rated_at,
                "day": ratings.day,
            }
        )
        for ratings in days
    ]
    table = pd.concat(parts, ignore_index=True).drop_duplicates(["user_id", "movie_id"])
    return table.astype({"user_id": str, "movie_id": str}).rename_axis("record").reset_index()


def twenty_years() -> pd.DataFrame:
    """Half stars of 4,000 users who come back for years; the tastes of a third move once."""
    days = generate(users=4000, movies=3000, ratings=300_000, days=7305, seed=2, drift=0.3)
    return frame(days)


def main() -> bool:
    """Time, memory and shape at the size of MovieLens 25M; the best that can be learned, on a small
    set.
    """
    started = time.process_time()
    rows, checksum = 0, 0
    counts = np.zeros(59_000, np.int64)
    for ratings_of_day in generate(users=162_000, movies=59_000, ratings=29_500_000, days=365):
        rows += len(ratings_of_day.users)
        checksum = (
            checksum * 31 + int(ratings_of_day.movies.sum()) + int(ratings_of_day.users.sum())
        ) % 2**61
        counts += np.bincount(ratings_of_day.movies, minlength=len(counts))
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    head = np.sort(counts)[::-1][: len(counts) // 10].sum() / rows
    print(
        f"{rows:,} ratings, checksum {checksum:x}; the most rated tenth of the movies has "
        f"{head:.0%} of them"
    )
    met = [
        goal("generator, rows", rows, 25e6, at_most=False, digits=0),
        goal("generator, CPU-s for 25M rows", seconds, 120, digits=1),
        goal("generator, peak GB", peak, 2, digits=2),
    ]
    size = {"users": 3000, "movies": 3000, "days": 300, "seed": 0, "drift": 0.0}
    data = interactions_of(frame(generate(**size, ratings=400_000)))
    held = temporal_holdout(data)
    metrics = evaluate(train(data.select(~held)), data.select(held)).metrics
    best = optimal_ndcg(Truth.of(**size), data, held)
    print(
        f"{len(data):,} ratings of {len(data.user_ids):,} users: NDCG@10 {best:.3f} at best "
        "(Bayes, 500 users), "
        f"ALS {metrics['ndcg_at_10']:.3f}, popularity {metrics['popularity_ndcg_at_10']:.3f}"
    )
    return all(met)
