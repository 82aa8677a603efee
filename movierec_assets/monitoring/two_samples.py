"""Tests that say how surprising a day is. Numbers in, probabilities out; they know no ratings.

They are made of SciPy's distributions. To import its tests would take a second of CPU and 44 MB of
each process that loads the definitions; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr, ndtri, stdtr

MOST = 20_000  # observations of the reference that are looked at: more change nothing


@dataclass(frozen=True)
class Compared:
    """A day's value, what is usual, and how probable a value as far out is by chance."""

    value: float
    usual: float
    p: float

    @property
    def effect(self) -> float:
        """The difference, in the value's own unit."""
        return abs(self.value - self.usual)


def different(today: NDArray[np.float64], reference: NDArray[np.float64]) -> Compared:
    """Compare two samples of users' days by the test of Mann and Whitney (1947).

    By ranks: of ten people one who is far out does not decide, as he would for the mean.
    """
    reference = reference[:: len(reference) // MOST + 1]
    above, spread = _ranks(today, reference)
    p = 2 * _chance(abs(above), spread)
    return Compared(float(today.mean()), float(reference.mean()), min(p, 1.0))


def larger(sample: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The probability, by chance, of a sample whose ranks are so much above the other's.

    The one-sided test of Mann and Whitney (1947) by the normal distribution, with its corrections
    for ties and for continuity; for samples of which one has more than eight values.
    """
    return _chance(*_ranks(sample, other))


def lower_mean(sample: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Welch (1947): the probability, by chance, of a mean that is so much below the other's.

    1 where neither varies.
    """
    errors = np.array([each.var(ddof=1) / len(each) for each in (sample, other)])
    if not errors.any():
        return 1.0
    freedom = errors.sum() ** 2 / (errors**2 / [len(sample) - 1, len(other) - 1]).sum()
    return float(stdtr(freedom, (sample.mean() - other.mean()) / np.sqrt(errors.sum())))


def beyond_days(value: float, before: NDArray[np.float64], sample: int | None = None) -> Compared:
    """Compare one day's value with those of the days before: Student's prediction of one more.

    What happens to a whole day (a holiday, a campaign) is in these days' variation, which a test of
    users alone would not see. Median and median absolute deviation: a home's first day, on which
    all is new, is no measure of the others.

    Args:
        sample: of how many the value is a share; its own error is added then, also where the days
            before are all alike.
    """
    usual = float(np.median(before))
    spread = float(_spread(before))
    if sample is not None:
        share = (usual * sample + 1) / (sample + 2)
        spread = float(np.hypot(spread, np.sqrt(share * (1 - share) / sample)))
    error = max(spread * float(np.sqrt(1 + 1 / len(before))), 1e-9)
    p = 2 * float(stdtr(len(before) - 1, -abs(value - usual) / error))
    return Compared(value, usual, p)


def farthest_out(today: NDArray[np.float64], reference: NDArray[np.float64]) -> tuple[int, float]:
    """The row of `today` that is farthest from the middle of the reference, and its probability.

    The squares of robust z-values, by median and median absolute deviation, add up to a chi-squared
    variable; the probability is that of one as far among all of today's rows.
    """
    middle = np.median(reference, axis=0)
    scale = np.maximum(_spread(reference), 1e-9)
    distance = (((today - middle) / scale) ** 2).sum(axis=1)
    place = int(distance.argmax())
    alone = float(chdtrc(today.shape[1], distance[place]))
    return place, min(alone * len(today), 1.0)


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median absolute deviation of each column, as the deviation of a normal distribution."""
    away = np.abs(values - np.median(values, axis=0))
    spread: NDArray[np.float64] = np.median(away, axis=0) / ndtri(0.75)
    return spread


def _ranks(sample: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """How far the sum of a sample's ranks is above its mean by chance, and its deviation."""
    n, m = len(sample), len(other)
    _, value_of, times = np.unique(
        np.concatenate([sample, other]), return_inverse=True, return_counts=True
    )
    ranks = np.cumsum(times) - (times - 1) / 2  # of each value, the mean over its ties
    above = ranks[value_of[:n]].sum() - n * (n + m + 1) / 2
    ties = (times**3 - times).sum() / ((n + m) * (n + m - 1))
    return float(above), float(np.sqrt(n * m / 12 * (n + m + 1 - ties)))


def _chance(above: float, spread: float) -> float:
    """The probability of ranks so far above; where all values are equal, nothing differs."""
    return float(ndtr(-(above - 0.5) / spread)) if spread else 1.0
