"""What is liked now, and when each movie came: from the times of the ratings a model is made of.

The times themselves are not kept in a bundle, only what lists need of them.
"""

from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.taste import popular_scores

WINDOWS = {"7d": 7, "30d": 30}  # by name, the last days that count
SECONDS_A_DAY = 86_400
EPOCH = date(1970, 1, 1).toordinal()

Numbers = NDArray[Any]


def day_number(day: str) -> int:
    """A UTC day (ISO) as days since 1970."""
    return date.fromisoformat(day).toordinal() - EPOCH


def recent_scores(
    movies: Numbers,
    praised: NDArray[np.bool_],
    rated_at: Numbers,
    until: int,
    days: int,
    count: int,
) -> NDArray[np.float32]:
    """(count,) `taste.popular_scores` of the ratings of the last days alone; 0 where nobody liked
    the movie in them.

    Args:
        movies, praised, rated_at: (N,) of each rating its movie's row, whether it praises, and the
            seconds since 1970.
        until: the last day of the data, in days since 1970.
    """
    recent = rated_at >= (until + 1 - days) * SECONDS_A_DAY
    ratings = np.bincount(movies[recent], minlength=count)
    likes = np.bincount(movies[recent & praised], minlength=count)
    return popular_scores(likes, ratings)


def first_days(movies: Numbers, rated_at: Numbers, count: int) -> NDArray[np.int32]:
    """(count,) the day of each movie's first rating, in days since 1970; of those that the model
    holds, so the last one where somebody rated the movie again.
    """
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, movies, rated_at)
    return np.asarray(np.minimum(first // SECONDS_A_DAY, np.iinfo(np.int32).max), np.int32)
