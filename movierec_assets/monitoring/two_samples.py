"""Tests that say how surprising a day is. Numbers in, probabilities out; they know no ratings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

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
    p = float(stats.mannwhitneyu(today, reference, method="asymptotic").pvalue)
    # Where all are equal the test has no spread to divide by, and nothing differs.
    return Compared(float(today.mean()), float(reference.mean()), 1.0 if np.isnan(p) else p)


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
    spread = float(stats.median_abs_deviation(before, scale="normal"))
    if sample is not None:
        share = (usual * sample + 1) / (sample + 2)
        spread = float(np.hypot(spread, np.sqrt(share * (1 - share) / sample)))
    error = max(spread * float(np.sqrt(1 + 1 / len(before))), 1e-9)
    p = 2 * float(stats.t.sf(abs(value - usual) / error, df=len(before) - 1))
    return Compared(value, usual, p)


def farthest_out(today: NDArray[np.float64], reference: NDArray[np.float64]) -> tuple[int, float]:
    """The row of `today` that is farthest from the middle of the reference, and its probability.

    The squares of robust z-values, by median and median absolute deviation, add up to a chi-squared
    variable; the probability is that of one as far among all of today's rows.
    """
    middle = np.median(reference, axis=0)
    scale = np.maximum(stats.median_abs_deviation(reference, axis=0, scale="normal"), 1e-9)
    distance = (((today - middle) / scale) ** 2).sum(axis=1)
    place = int(distance.argmax())
    alone = float(stats.chi2.sf(distance[place], df=today.shape[1]))
    return place, min(alone * len(today), 1.0)
