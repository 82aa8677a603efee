"""Ratings for tests: deterministic, with a taste to learn. MovieLens itself is never committed."""

from datetime import UTC, date, datetime, timedelta

import numpy as np

HEADER = "user_id,movie_id,rating,timestamp\n"


def day_start(day: str) -> int:
    """Seconds since 1970 at which the UTC day begins."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


def days_from(first: str, count: int) -> list[str]:
    """So many consecutive days (ISO)."""
    return [(date.fromisoformat(first) + timedelta(days=n)).isoformat() for n in range(count)]


def ratings_of_day(
    day: str, *, users: int = 60, movies: int = 80, ratings: int = 400, seed: int = 0
) -> list[list[str]]:
    """Rows (user_id, movie_id, rating, timestamp) of one day.

    Users and movies belong to one of 4 tastes; a movie of the user's own taste gets 4 or 5 stars,
    another 1 to 3, and is rated less often.
    """
    random = np.random.default_rng([seed, day_start(day)])
    rows: dict[tuple[int, int], list[str]] = {}
    while len(rows) < ratings:
        user, movie = int(random.integers(users)), int(movies * random.random() ** 2)
        own = user % 4 == movie % 4
        if not own and random.random() < 0.8:
            continue
        stars = int(random.integers(4, 6) if own else random.integers(1, 4))
        at = day_start(day) + int(random.integers(86_400))
        rows[user, movie] = [f"u{user}", f"m{movie}", str(stars), str(at)]
    return sorted(rows.values(), key=lambda row: row[3])


def as_csv(rows: list[list[str]]) -> bytes:
    """A chunk."""
    return (HEADER + "".join(",".join(row) + "\n" for row in rows)).encode()


def catalogue(movies: int = 80) -> bytes:
    """A movies.csv with commas, quotes and letters beyond ASCII in titles."""
    lines = [
        f'm{n},"Amélie, the ""{n}th"" (1999)",1999,{"Comedy|Drama" if n % 2 else "Action"}\n'
        for n in range(movies)
    ]
    return ("movie_id,title,year,genres\n" + "".join(lines)).encode()
