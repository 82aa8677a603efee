"""Whether a day is unlike the days before it: outside the catalogue, new users, new movies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

DAYS_BEFORE = 28  # that say what is usual
FEWEST_DAYS = 5  # fewer say nothing of new users and movies: on the first day all are new


@dataclass(frozen=True)
class Shares:
    """Of one day's accepted ratings.

    Attributes:
        outside: share of its ratings whose movie is not in the catalogue.
        new_users, new_movies: share of its users and movies that no day before it had.
    """

    day: str
    outside: float
    new_users: float
    new_movies: float


def surprises(shares: Sequence[Shares], asked: Sequence[str], limit: float) -> dict[str, str]:
    """What is unusual about each of these days, with its figures; usual days are absent.

    A share is unusual if it is more than `limit` above the median of the days before. Ratings
    outside the catalogue are compared from the first day on, where nothing is usual.

    Args:
        shares: of all days with accepted ratings, ascending.
    """
    found: dict[str, str] = {}
    wanted = set(asked)
    for place, today in enumerate(shares):
        if today.day not in wanted:
            continue
        before = shares[max(0, place - DAYS_BEFORE) : place]
        said = []
        for name, what in (
            ("outside", "of its ratings name movies outside the catalogue"),
            ("new_users", "of its users are new"),
            ("new_movies", "of its movies are new"),
        ):
            if name != "outside" and len(before) < FEWEST_DAYS:
                continue
            share = getattr(today, name)
            usual = median([getattr(one, name) for one in before] or [0.0])
            if share > usual + limit:
                said.append(f"{share:.1%} {what}, usually {usual:.1%}")
        if said:
            found[today.day] = "; ".join(said)
    return found
