"""Intervals that hold however often one looks: confidence sequences, and how likely they find an
effect.

Values in, values out. What is compared, and over whom, is `arms.py`'s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, lambertw

LEVEL = 0.95


@dataclass(frozen=True)
class ConfidenceSequence:
    """The two-sided normal mixture, eq. (14) of Howard, Ramdas, McAuliffe and Sekhon (2021),
    "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49(2).

    For a sum S with variance V, |S| < sqrt((V + r) log((V + r) / (alpha^2 r))) holds at all times
    at once with probability 1 - alpha. Here V = 1 / error^2 and S = estimate x V. The error is
    estimated, so that this is asymptotic: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2021),
    "Time-uniform central limit theory and asymptotic confidence sequences".

    Attributes:
        tightest_at: the information, 1 / error^2, at which the interval is narrowest; chosen before
            the first look.
    """

    tightest_at: float
    level: float = LEVEL

    @property
    def mixture(self) -> float:
        """r, the variance at which the mixture is tightest: -W(-alpha^2 / e) - 1 times it."""
        alpha = 1 - self.level
        return self.tightest_at / (-float(lambertw(-(alpha**2) / math.e, -1).real) - 1)

    def half_width(self, error: NDArray[np.float64]) -> NDArray[np.float64]:
        """Half the interval around an estimate with this standard error; infinite where there is
        none.
        """
        alpha, r = 1 - self.level, self.mixture
        with np.errstate(divide="ignore", invalid="ignore"):
            v = 1 / np.square(error)
            width = np.sqrt((v + r) * np.log((v + r) / (alpha**2 * r))) / v
        return np.where(np.isfinite(width) & (error > 0), width, np.inf)


def mismatch(counts: NDArray[np.int64], shares: NDArray[np.float64]) -> float:
    """The p-value of Pearson's chi-square test that users came to the arms by their shares."""
    total = counts.sum()
    if not total or len(counts) < 2:
        return 1.0
    expected = shares / shares.sum() * total
    return float(chdtrc(len(counts) - 1, (np.square(counts - expected) / expected).sum()))
