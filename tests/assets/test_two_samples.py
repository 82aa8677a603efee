"""What is made of SciPy's distributions says what SciPy's tests say, to the last digits."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from movierec_assets.monitoring.sequential import mismatch
from movierec_assets.monitoring.two_samples import (
    beyond_days,
    different,
    farthest_out,
    larger,
    lower_mean,
)

RANDOM = np.random.default_rng(7)
SAMPLES = {
    "many and few": (RANDOM.normal(3.4, 1, 300), RANDOM.normal(3.5, 1, 20)),
    "stars, so ties": (RANDOM.integers(1, 11, 60) / 2, RANDOM.integers(2, 11, 40) / 2),
    "apart": (RANDOM.random(30), RANDOM.random(50) + 1),
    "mostly alike": (np.r_[np.ones(30), 2.0], np.r_[np.ones(25), 0.5]),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_two_samples_are_compared_as_scipy_does(name: str) -> None:
    one, other = SAMPLES[name]
    for a, b in ((one, other), (other, one)):
        greater = stats.mannwhitneyu(a, b, alternative="greater", method="asymptotic")
        assert larger(a, b) == pytest.approx(greater.pvalue, rel=1e-9)
        both = stats.mannwhitneyu(a, b, method="asymptotic")
        assert different(a, b).p == pytest.approx(both.pvalue, rel=1e-9)
        welch = stats.ttest_ind(a, b, equal_var=False, alternative="less")
        assert lower_mean(a, b) == pytest.approx(welch.pvalue, rel=1e-9)


def test_where_nothing_varies_nothing_differs() -> None:
    alike = np.full(12, 3.0)
    assert larger(alike, alike) == lower_mean(alike, alike) == different(alike, alike).p == 1.0


def test_a_day_and_a_user_are_as_far_out_as_scipy_says() -> None:
    before: NDArray[np.float64] = RANDOM.normal(100, 9, 28)
    spread = stats.median_abs_deviation(before, scale="normal") * np.sqrt(1 + 1 / 28)
    usual = np.median(before)
    p = 2 * stats.t.sf(abs(130 - usual) / spread, df=27)
    assert beyond_days(130, before).p == pytest.approx(p, rel=1e-9)
    users = RANDOM.normal(size=(50, 3))
    middle, scale = np.median(users, axis=0), stats.median_abs_deviation(users, scale="normal")
    today = np.array([[0.0, 0.0, 0.0], [2.5, -3.0, 1.0]])
    distance = (((today[1] - middle) / scale) ** 2).sum()
    place, rare = farthest_out(today, users)
    assert (place, rare) == (1, pytest.approx(2 * stats.chi2.sf(distance, 3), rel=1e-9))


def test_users_in_arms_are_counted_as_scipy_does() -> None:
    counts, shares = np.array([480, 370, 190]), np.array([0.5, 0.3, 0.2])
    expected = stats.chisquare(counts, shares * counts.sum())
    assert mismatch(counts, shares) == pytest.approx(expected.pvalue, rel=1e-9)


def test_the_tests_of_days_are_loaded_without_scipys() -> None:
    modules = "drift, experiments, interleaving, taste"
    program = f"import sys; from movierec_assets.monitoring import {modules}"
    program += "; sys.exit('scipy.stats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
