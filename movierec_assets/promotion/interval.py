"""How sure a difference of NDCG@10 between two models is: a paired bootstrap over users."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

MIN_USERS = 20  # below it a bootstrap's quantiles are not to be trusted
RESAMPLES = 1000


@dataclass(frozen=True)
class Interval:
    """The challenger's mean NDCG@10 over a reference's, minus 1, with one-sided bounds at the
    gate's level.

    Without enough users, or without a hit of the reference's, anything is possible: infinite
    bounds, no power.
    """

    difference: float
    lower: float
    upper: float
    power: float  # probability that an equally good challenger passes


def interval(
    own: NDArray[np.float64], other: NDArray[np.float64], *, margin: float, level: float
) -> Interval:
    """Bootstrap the relative difference of (B,) NDCG@10 over users, paired, by percentiles.

    "The lower bound is above -margin" is the non-inferiority test of mean(challenger) against (1 -
    margin) x mean(reference), in which the reference's mean varies, too. The power is of its normal
    approximation. The resamples are the same in each call: a verdict can be recomputed.
    """
    users = len(own)
    if users < MIN_USERS or not other.any():
        return Interval(math.nan, -math.inf, math.inf, 0.0)
    mine, theirs = _resampled_means(own, other)
    # A resample may hold no hit of the reference's.
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.nan_to_num(mine / theirs, nan=1.0, posinf=math.inf) - 1
    lower, upper = np.quantile(ratios, [1 - level, level], method="nearest")
    difference = float(own.mean() / other.mean() - 1)
    return Interval(difference, float(lower), float(upper), _power(own, other, margin, level))


def _resampled_means(
    own: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(RESAMPLES,) means of both, over the same users drawn with replacement."""
    random, users = np.random.default_rng(0), len(own)
    sums = np.empty((RESAMPLES, 2))
    both = np.stack([own, other], axis=1)
    for row in sums:
        both[random.integers(users, size=users)].sum(axis=0, out=row)
    mine, theirs = sums.T / users
    return mine, theirs


def _power(
    own: NDArray[np.float64], other: NDArray[np.float64], margin: float, level: float
) -> float:
    error = float((own - (1 - margin) * other).std(ddof=1)) / math.sqrt(len(own))
    normal = NormalDist()
    room = margin * float(other.mean())
    return normal.cdf(room / error - normal.inv_cdf(level)) if error else 1.0
