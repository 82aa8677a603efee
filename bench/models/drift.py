"""Drift: how often days without any give an alarm, and how soon planted drifts are found."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bench.goals import goal
from bench.models.chain import movielens, train
from bench.models.generator import GENRES, frame, generate
from movierec_assets.monitoring.drift import Limits, State, drifting, findings
from movierec_assets.monitoring.prequential import Score, next_day
from movierec_assets.monitoring.taste import taste
from movierec_assets.monitoring.user_days import Rated, UserDays
from movierec_assets.ratings.interactions import interactions_of

MONTH = 365.25 / 12  # days
FOUND_WITHIN = 2  # days; a planted drift stays
TASTE_WITHIN = 14
BOT = 500  # ratings
STARTS = 12  # days on which each drift is planted, one at a time
NEW_MODEL = (
    7  # days between two models of the next-day metric: a day's model costs more and adds little
)
FIRST = 35  # the first day with a planted drift, so that the days before say what is usual


@dataclass(frozen=True)
class Site:
    """Ratings by day (user_id, movie_id, rating, rated_at, day), and the movies' genres."""

    name: str
    ratings: pd.DataFrame
    genres: Mapping[str, Sequence[str]]

    @property
    def days(self) -> list[str]:
        return sorted(self.ratings.day.unique())


Plant = Callable[[Site, pd.DataFrame, str], pd.DataFrame]


def movielens_site() -> Site:
    """MovieLens 100k as `movierec fetch ml-100k` cut it into days."""
    movies = pd.read_csv(Path("warehouse/landing/movies.csv"), dtype=str).fillna("")
    genres = {row.movie_id: row.genres.split("|") for row in movies.itertuples()}
    return Site("MovieLens 100k", movielens(), genres)


def generated_site() -> Site:
    """A year in which nothing changes but that users and movies arrive."""
    ratings = frame(generate(users=3000, movies=2000, ratings=220_000, days=365))
    names = [f"genre {n}" for n in range(GENRES)]
    movies = ratings.movie_id.unique().tolist()
    return Site(
        "generated year", ratings, {movie: [names[int(movie) % GENRES]] for movie in movies}
    )


def user_days(site: Site, ratings: pd.DataFrame) -> UserDays:
    """As the warehouse would give them."""
    days, day = np.unique(ratings.day, return_inverse=True)
    user, _ = pd.factorize(ratings.user_id)
    movie, movies = pd.factorize(ratings.movie_id)
    names = sorted({name for some in site.genres.values() for name in some})
    has = [[name in site.genres.get(movie, ()) for name in names] for movie in movies]
    new = {
        key: ratings.groupby(key).day.transform("min") == ratings.day
        for key in ("user_id", "movie_id")
    }
    return UserDays.of(
        Rated(
            days=days.tolist(),
            day=day,
            user=user.astype(np.int64),
            movie=movie.astype(np.int64),
            stars=ratings.rating.to_numpy(float),
            new_user=new["user_id"].to_numpy(),
            new_movie=new["movie_id"].to_numpy(),
            outside=~ratings.movie_id.isin(site.genres).to_numpy(),
            genres=names,
            has_genre=np.array(has, bool),
        )
    )


# -- planted drifts --------------------------------------------------------------------------------


def halved(site: Site, ratings: pd.DataFrame, begin: str) -> pd.DataFrame:
    """The source halves its scale."""
    return ratings.assign(rating=ratings.rating.where(ratings.day < begin, ratings.rating / 2))


def bot(stars: Callable[[random.Random], float], popular: bool) -> Plant:
    """One account rates 500 movies on a day: the most rated ones, or any."""

    def plant(site: Site, ratings: pd.DataFrame, begin: str) -> pd.DataFrame:
        draw = random.Random(begin)
        known = ratings.movie_id.value_counts().index.tolist()
        movies = known[:BOT] if popular else draw.sample(known, min(BOT, len(known)))
        own = {"user_id": "bot", "movie_id": movies, "rated_at": 0, "day": begin}
        rows = pd.DataFrame({**own, "rating": [stars(draw) for _ in movies]})
        return pd.concat([ratings, rows], ignore_index=True)

    return plant


def without(genre: str) -> Plant:
    """The ratings of a genre no longer arrive."""

    def plant(site: Site, ratings: pd.DataFrame, begin: str) -> pd.DataFrame:
        of_it = ratings.movie_id.map(lambda movie: genre in site.genres.get(movie, ()))
        return ratings[~(of_it & (ratings.day >= begin))]

    return plant


def rotated(site: Site, begin: str) -> pd.DataFrame:
    """Over two weeks one user after the other begins to like other movies, as popular as before."""
    popular = site.ratings.movie_id.value_counts().index.tolist()
    draw, other = random.Random(0), {}
    for start in range(0, len(popular), 40):
        some = popular[start : start + 40]
        other |= dict(zip(some, draw.sample(some, len(some)), strict=True))
    if site.name.startswith("generated"):  # there a user's taste is a genre: the next one
        other = {
            movie: str(int(movie) // GENRES * GENRES + (int(movie) + 1) % GENRES)
            for movie in popular
        }
    nth = site.ratings.day.map({day: place for place, day in enumerate(site.days)})
    share = ((nth - site.days.index(begin) + 1) / TASTE_WITHIN).clip(0, 1)
    turn = site.ratings.user_id.map(lambda user: zlib.crc32(user.encode()) / 2**32)
    moved = site.ratings.movie_id.where(turn >= share, site.ratings.movie_id.map(other))
    return site.ratings.assign(movie_id=moved).drop_duplicates(["user_id", "movie_id"])


# -- what is found ---------------------------------------------------------------------------------


def alarms(
    site: Site, ratings: pd.DataFrame, limits: Limits, places: Sequence[int]
) -> dict[int, list[str]]:
    """The measures that give an alarm on each of these days, and those that do not: by place."""
    days = user_days(site, ratings)
    return {
        place: [
            finding.measure
            for finding in drifting(
                findings(days.between(max(place - limits.days, 0), place + 1), limits)
            )
        ]
        for place in places
    }


def next_days(ratings: pd.DataFrame, first: int, last: int) -> list[Score]:
    """The next-day metric of the days [first, last)."""
    by_day = dict(tuple(ratings.groupby("day")))
    scores, model = [], None
    for place, day in enumerate(sorted(by_day)[:last]):
        if place < first:
            continue
        if model is None or place % NEW_MODEL == 0:
            model = train(interactions_of(ratings[ratings.day < day]))
        scores.append(next_day(day, interactions_of(by_day[day]), model, None))
    return scores


def taste_alarms(scores: Sequence[Score]) -> list[str]:
    """The days on which the trend gives an alarm."""
    return [
        scores[last - 1].day
        for last in range(1, len(scores) + 1)
        if taste(scores[:last]).state is State.DRIFT
    ]


def false_alarms(site: Site, limits: Limits) -> bool:
    """Days with an alarm where nothing was planted, the trend of taste included."""
    by_day = alarms(site, site.ratings, limits, range(len(site.days)))
    by_measure = pd.Series(
        [finding for some in by_day.values() for finding in some], dtype=str
    ).value_counts()
    days = {site.days[place] for place, some in by_day.items() if some}
    moved = taste_alarms(next_days(site.ratings, FIRST, len(site.days)))
    said = ", ".join(f"{name} {n}" for name, n in {**by_measure, "taste": len(moved)}.items())
    print(f"| {site.name} | {len(site.days)} | {len(days | set(moved))} | {said} |", flush=True)
    months = len(site.days) / MONTH
    return goal(
        f"drift, {site.name}, days with an alarm a month",
        len(days | set(moved)) / months,
        1,
        digits=2,
    )


def found_within(site: Site, name: str, plant: Plant, limits: Limits, *, must: bool) -> bool:
    """How many of the planted ones are found on the first day, and within two."""
    places = np.linspace(FIRST, len(site.days) - FOUND_WITHIN - 1, STARTS).astype(int).tolist()
    at_once = soon = 0
    for place in places:
        until = site.days[place + FOUND_WITHIN - 1]
        part = plant(site, site.ratings[site.ratings.day <= until], site.days[place])
        by_day = alarms(site, part, limits, range(place, place + FOUND_WITHIN))
        at_once += bool(by_day[place])
        soon += any(by_day.values())
    print(
        f"| {site.name} | {name} | {at_once} of {len(places)} | {soon} of {len(places)} |",
        flush=True,
    )
    return not must or goal(
        f"drift, {site.name}, {name}, share found", soon / len(places), 0.9, at_most=False, digits=2
    )


def taste_within(site: Site, places: Sequence[int]) -> bool:
    """Days from the beginning of the rotation to the first alarm; the slowest counts."""
    waited = []
    for place in places:
        moved = rotated(site, site.days[place])
        scores = next_days(moved, max(place - 70, 14), min(place + 40, len(site.days)))
        since = [day for day in taste_alarms(scores) if day >= site.days[place]]
        waited.append(site.days.index(since[0]) - place + 1 if since else 99)
        print(f"| {site.name} | taste from {site.days[place]} | {waited[-1]} days |", flush=True)
    return goal(
        f"drift, {site.name}, taste rotated, days until found", max(waited), TASTE_WITHIN, digits=0
    )


def main() -> bool:
    """The table of docs/benchmarks; needs `movierec fetch ml-100k`."""
    limits = Limits()
    sites = {"ml": movielens_site(), "year": generated_site()}
    lost = {"ml": ("Drama", "Comedy", "Action", "Horror"), "year": ("genre 0", "genre 5")}
    print("| ratings | days | with an alarm | by measure |\n|---|---|---|---|")
    met = [false_alarms(site, limits) for site in sites.values()]
    print("\n| ratings | planted | found at once | within 2 days |\n|---|---|---|---|")
    for key, site in sites.items():
        plants: dict[str, Plant] = {
            "scale halved": halved,
            "bot: 5 stars, any movie": bot(lambda _: 5.0, popular=False),
            "bot: 5 stars, most rated": bot(lambda _: 5.0, popular=True),
        }
        met += [
            found_within(site, name, plant, limits, must=True) for name, plant in plants.items()
        ]
        for genre in lost[key]:
            name = f"{genre} lost"
            met.append(found_within(site, name, without(genre), limits, must=genre != "Horror"))
        aimless = bot(lambda draw: float(draw.randint(1, 5)), popular=False)
        found_within(site, "bot: random stars, any movie", aimless, limits, must=False)
    print("\n| ratings | planted | found after |\n|---|---|---|")
    met.append(taste_within(sites["ml"], (90, 150)))
    met.append(taste_within(sites["year"], (150, 220, 300)))
    return all(met)
