"""What a rating says: liked, disliked, or neither. Training and answers have this one rule.

A rating counts against the user's own mean, so that a harsh user's 3 stars are praise. The mean is
drawn towards everybody's by a few ratings, so that one who gives only 0.5 stars has no mean that
excuses them. docs/benchmarks has the measurements behind the numbers.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MEAN_PRIOR = 5  # ratings at everybody's mean that are added to a user's own
LIKED_ABOVE_MEAN, LEAST_LIKED, SURELY_LIKED = 0.5, 2.5, 4.0  # stars
DISLIKED_BELOW_MEAN, MOST_DISLIKED, SURELY_DISLIKED = 0.5, 2.0, 1.0  # stars
POPULAR_PRIOR = 25  # ratings at the overall share of likes that are added to a movie's own

Stars = NDArray[Any]


def overall_mean(stars: Stars) -> float:
    """The mean of all ratings; the middle of the scale where there are none."""
    return float(stars.mean()) if len(stars) else 2.75


def user_means(stars: Stars, indptr: NDArray[np.int64], overall: float) -> NDArray[np.float64]:
    """(U,) each user's mean, drawn towards `overall`.

    Args:
        stars: (N,) ratings, one user after the other.
        indptr: (U + 1,) where each user's begin, and the last one's end.
    """
    counts = np.diff(indptr)
    totals, some = np.zeros(len(counts)), counts > 0
    if some.any():  # a sum of stars is exact in float64, in whatever order
        totals[some] = np.add.reduceat(stars, indptr[:-1][some], dtype=np.float64)
    return np.asarray((totals + MEAN_PRIOR * overall) / (counts + MEAN_PRIOR))


def own_mean(stars: Stars, overall: float) -> float:
    """The mean of one user's ratings, drawn towards `overall`."""
    return float((stars.sum() + MEAN_PRIOR * overall) / (len(stars) + MEAN_PRIOR))


def liked(stars: Stars, means: NDArray[np.float64] | float) -> NDArray[np.bool_]:
    """(N,) ratings that praise: half a star above the user's mean, or 4 stars and more."""
    return np.asarray(stars >= least_liked(means))


def least_liked(means: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """The fewest stars that praise, for each mean."""
    return np.clip(np.asarray(means) + LIKED_ABOVE_MEAN, LEAST_LIKED, SURELY_LIKED)


def disliked(stars: Stars, means: NDArray[np.float64] | float) -> NDArray[np.bool_]:
    """(N,) ratings that warn: 2 stars or less and well below the user's mean, or 1 and less."""
    low = (stars <= MOST_DISLIKED) & (stars < np.asarray(means) - DISLIKED_BELOW_MEAN)
    return np.asarray(low | (stars <= SURELY_DISLIKED))


def signed(
    weights: Stars, stars: Stars, means: NDArray[np.float64] | float, dislike: float | None
) -> NDArray[Any]:
    """(N,) weights in which a disliked rating is evidence against: -`dislike`, if that is set.

    implicit takes a negative entry as preference 0 with confidence |c|.
    """
    if not dislike:
        return weights
    return np.where(disliked(stars, means), np.asarray(-dislike, weights.dtype), weights)


def popular_scores(likes: Stars, ratings: Stars) -> NDArray[np.float32]:
    """(I,) L (L + 25 p) / (n + 25): how many liked a movie, times the damped share of likes.

    The share is the posterior mean under a Beta prior of 25 ratings at the overall share p: a
    Bayesian average (Gelman et al., Bayesian Data Analysis, chapter 2).

    Args:
        likes: (I,) L, ratings that praise.
        ratings: (I,) n, all ratings.
    """
    overall = float(likes.sum()) / max(float(ratings.sum()), 1.0)
    share = (likes + POPULAR_PRIOR * overall) / (ratings + POPULAR_PRIOR)
    return np.asarray(likes * share, np.float32)
