"""How many users and days an experiment needs: the past, drawn into arms again and again.

The users of the past are assigned at random, the effect is added to one arm, and the analysis is
run each day as it will be. So visits, habits and their spread are those of the site.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from movierec_assets.monitoring.arms import MIN_USERS
from movierec_assets.monitoring.sequential import ConfidenceSequence

DRAWS = 400
WANTED = 0.8


@dataclass(frozen=True)
class History:
    """(U, T) of each user and day of the past: what is counted, and 1 where anything was shown."""

    gains: NDArray[np.float64]
    shown: NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """What may be expected of an experiment, day by day.

    Attributes:
        users: of the past, in both arms at the end.
        information: 1 / error^2 of the difference at its end: where its interval is tightest.
        power: (T,) probability that the effect is found by the end of each day.
    """

    users: int
    information: float
    power: NDArray[np.float64]

    @property
    def days(self) -> int | None:
        """Days until the effect is found with probability 0.8; None if so many do not suffice."""
        enough = np.flatnonzero(self.power >= WANTED)
        return int(enough[0]) + 1 if len(enough) else None


def plan(
    history: History, effect: float, shares: tuple[float, float], *, users: int | None = None
) -> Plan:
    """Plan for a relative `effect` on the mean, with these shares of the users.

    Args:
        shares: of the control and of the arm; the rest is in neither.
        users: how many there will be, if not as many as in the past.
    """
    random = np.random.default_rng(0)
    total = users or len(history.gains)
    arms = np.array([*shares, max(1 - sum(shares), 0.0)])
    gains, shown = history.gains.cumsum(axis=1), history.shown.cumsum(axis=1)
    moments = [_moments(gains, shown, 0.0), _moments(gains, shown, effect)]
    estimates, errors = np.empty((2, DRAWS, gains.shape[1]))
    for draw in range(DRAWS):
        # Each user of the past comes so many times; each time she is assigned by herself.
        often = random.multinomial(total, np.full(len(gains), 1 / len(gains)))
        control = random.binomial(often, arms[0])
        arm = random.binomial(often - control, min(arms[1] / max(1 - arms[0], 1e-12), 1.0))
        means, variances = zip(*map(_ratio, moments, (control, arm)), strict=True)
        estimates[draw], errors[draw] = means[1] - means[0], np.sqrt(variances[0] + variances[1])
    last = errors[:, -1][np.isfinite(errors[:, -1])]
    information = float(1 / np.square(np.median(last))) if len(last) else 1.0
    sequence = ConfidenceSequence(information)
    with np.errstate(invalid="ignore"):
        beyond = np.sign(effect) * estimates > sequence.half_width(errors)
    return Plan(total, information, np.logical_or.accumulate(beyond, axis=1).mean(axis=0))


def plan_interleaved(
    history: History, effect: float, share: float, *, users: int | None = None
) -> Plan:
    """Plan for lists drafted from two rankings, as if no movie were in both: then most are needed.

    A gain is the better ranking's with odds of 1 + effect, and each look is taken for itself; so
    the power is promised a little too low.

    Args:
        share: of the users that get such lists.
    """
    total = share * (users or len(history.gains))
    gains, days = history.gains.cumsum(axis=1), history.shown.cumsum(axis=1)
    lead = effect / (2 + effect)  # the expected difference of one gain
    mean = lead * gains.sum(axis=0) / np.maximum(days.sum(axis=0), 1)
    # E[(d - mean days)^2] of a user, where d is a sum of +1 and -1 over her gains
    squares = (1 - lead**2) * gains + (lead * gains - mean * days) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.sqrt(squares.mean(axis=0) / total) / days.mean(axis=0)
        information = float(1 / np.square(errors[-1])) if errors[-1] > 0 else 1.0
        widths = ConfidenceSequence(information).half_width(errors)
        power = ndtr((abs(mean) - widths) / errors)
    return Plan(round(total), information, np.maximum.accumulate(np.nan_to_num(power)))


def _moments(
    gains: NDArray[np.float64], days: NDArray[np.float64], effect: float
) -> list[NDArray[np.float64]]:
    """(U, T) sums of each user that a ratio and its error follow from, with so many more gains.

    Gains are counts. More of them are those of which the past's would be left if each stayed with
    probability 1 / (1 + effect): so their squares are not simply (1 + effect)^2 times as large.
    """
    more = 1 + effect
    squares = more**2 * gains * gains - effect * more * gains
    return [np.minimum(days, 1.0), more * gains, days, squares, more * gains * days, days * days]


def _ratio(
    moments: list[NDArray[np.float64]], often: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(T,) ratio of sums and its variance, of users that come so often."""
    users, y, d, yy, yd, dd = (often @ moment for moment in moments)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = y / d
        residuals = yy - 2 * mean * yd + mean**2 * dd
        variance = users / (users - 1) * residuals / d**2
    return mean, np.where((users >= MIN_USERS) & np.isfinite(variance), variance, np.inf)
