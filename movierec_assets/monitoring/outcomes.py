"""What became of the lists that people were shown: rates with intervals, by what made the lists.

Users are the unit, since the days and movies of one user are alike. The rates:

- `hit_rate`: share of users and days with a movie among the first k that the user took up, that is
  clicked, played, liked or rated.
- `ctr`: share of the movies shown that were taken up.
- `like_rate`, `dislike_rate`: share of the movies shown that were then liked, or disliked.
- `repeated`: share of days on which a user's list had the same movies as the one before it.
- `coverage`: share of the catalogue that was shown to anybody; it has no interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

K = 10  # places that count
DIMENSIONS = ("version", "arm", "source", "segment")
MIN_USERS = 20  # with fewer, or fewer than so many gains, an interval would say too much
MIN_GAINS = 5
Z = 1.96
RATES: Mapping[str, tuple[str, str]] = {  # what is counted, over what
    "hit_rate": ("hit", "days"),
    "ctr": ("taken_up", "shown"),
    "like_rate": ("liked", "shown"),
    "dislike_rate": ("disliked", "shown"),
    "repeated": ("repeated", "has_earlier"),
}


@dataclass(frozen=True)
class Rate:
    """A rate of the lists of a day, 95 %; without bounds there are too few to tell.

    Attributes:
        dimension: `version` and the like, or `all`.
        value: the version, arm, source or segment.
    """

    dimension: str
    value: str
    rate: str
    users: int
    middle: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.middle:.1%} of {self.users} users, too few to tell"
        return f"{self.middle:.1%} ({self.low:.1%} to {self.high:.1%}) of {self.users} users"


def rates(user_days: pd.DataFrame, movies: pd.DataFrame, catalogue: int) -> list[Rate]:
    """The rates of one day, together and by each dimension.

    Args:
        user_days: a row for each user, version, arm and source: `shown`, `taken_up`, `liked`,
            `disliked`, `hit`, `has_earlier`, `repeated`, and the dimensions.
        movies: a row for each version, arm and source: the `movies` that were shown.
        catalogue: how many movies there are.
    """
    if user_days.empty:
        return []
    rows = user_days.assign(days=1)
    measured = []
    for by, value, part in _parts(rows):
        for rate, (gains, over) in RATES.items():
            if part[over].sum():
                measured.append(_rate(by, value, rate, part, gains, over))
    for by, value, part in _parts(movies):
        if catalogue:
            different = len({movie for shown in part["movies"] for movie in shown})
            share = min(different / catalogue, 1.0)
            users = next(
                (rate.users for rate in measured if (rate.dimension, rate.value) == (by, value)), 0
            )
            measured.append(Rate(by, value, "coverage", users, share))
    return measured


def _parts(rows: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    yield "all", "all", rows
    for by in DIMENSIONS:
        if by in rows:
            for value, part in rows.groupby(by):
                yield by, str(value), part


def _rate(by: str, value: str, rate: str, rows: pd.DataFrame, gains: str, over: str) -> Rate:
    """Estimate by the linearised ratio over users, within 0 and 1; its source is in `arms.py`."""
    sums = rows.groupby("user_id")[[gains, over]].sum().to_numpy(np.float64)
    y, d = sums[sums[:, 1] > 0].T
    middle, users = float(y.sum() / d.sum()), len(d)
    if users < MIN_USERS or y.sum() < MIN_GAINS:
        return Rate(by, value, rate, users, middle)
    residuals = (y - middle * d) / d.mean()
    half = Z * float(np.sqrt(residuals.var(ddof=1) / users))
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return Rate(by, value, rate, users, middle, low=low, high=high)
