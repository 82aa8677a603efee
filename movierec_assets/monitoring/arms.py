"""Two arms compared: the mean of a figure per user and day, with what is known of each user before.

A user is drawn into an arm as a whole, so users are the unit: the days of one are alike. The figure
is a ratio of sums, as clicks over days shown, and its error that of the linearised ratio: Deng,
Knoblich and Lu (2018), "Applying the delta method in metric analytics".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movierec_assets.monitoring.sequential import ConfidenceSequence

Values = NDArray[np.float64]
MIN_USERS = 20  # in each arm; with fewer the error itself is unknown


@dataclass(frozen=True)
class Users:
    """One arm's users so far, (U,) each.

    Attributes:
        gains: what is counted, summed over the days.
        days: on which they were shown anything, at least 1.
        before: what is known of the user from before the experiment, such as the same figure then;
            the mean where nothing is.
    """

    gains: Values
    days: Values
    before: Values | None = None

    @property
    def mean(self) -> float:
        return float(self.gains.sum() / self.days.sum()) if len(self.days) else 0.0

    @property
    def linearised(self) -> Values:
        """(U,) values whose mean is the ratio, and whose error is the ratio's."""
        mean = self.mean
        return np.asarray(mean + (self.gains - mean * self.days) / self.days.mean())


@dataclass(frozen=True)
class Difference:
    """An arm's mean less the control's, with an interval that may be looked at every day."""

    control: float
    estimate: float
    error: float
    lower: float
    upper: float
    theta: float = 0.0  # of CUPED; 0 where nothing is known from before

    @property
    def decided(self) -> bool:
        return self.lower > 0 or self.upper < 0


def difference(control: Users, arm: Users, sequence: ConfidenceSequence) -> Difference | None:
    """The arm against the control; None while one of them has fewer than 20 users.

    With `before`, by CUPED: what was known before explains a part of the variance and none of the
    difference. Deng, Xu, Kohavi and Walker (2013), "Improving the sensitivity of online controlled
    experiments by utilizing pre-experiment data".
    """
    if min(len(control.days), len(arm.days)) < MIN_USERS:
        return None
    mine, theirs = arm.linearised, control.linearised
    theta = 0.0
    if control.before is not None and arm.before is not None:
        theta = _slope((mine, arm.before), (theirs, control.before))
        middle = np.concatenate([arm.before, control.before]).mean()
        mine = mine - theta * (arm.before - middle)
        theirs = theirs - theta * (control.before - middle)
    estimate = float(mine.mean() - theirs.mean())
    error = float(np.sqrt(mine.var(ddof=1) / len(mine) + theirs.var(ddof=1) / len(theirs)))
    half = float(sequence.half_width(np.array([error]))[0])
    return Difference(control.mean, estimate, error, estimate - half, estimate + half, theta)


def preference(
    gains: tuple[Values, Values], days: Values, sequence: ConfidenceSequence
) -> Difference | None:
    """The arm against the control where each user had lists drafted from both; None while fewer
    than 20 users did, or nobody took up what one of them alone would have shown.

    Each user is compared with herself, so habits, which differ most, cancel.

    Args:
        gains: (U,) each: by the control's places and by the arm's, summed over the days.
        days: (U,) on which they were shown anything, at least 1.
    """
    control, arm = gains
    if len(days) < MIN_USERS or not (arm != control).any():
        return None
    users = Users(arm - control, days)
    error = float(users.linearised.std(ddof=1) / np.sqrt(len(days)))
    half = float(sequence.half_width(np.array([error]))[0])
    mean, estimate = Users(control, days).mean, users.mean
    return Difference(mean, estimate, error, estimate - half, estimate + half)


def _slope(*arms: tuple[Values, Values]) -> float:
    """Slope of the figure on what was known before, each about its arm's own mean."""
    pairs = [(y - y.mean(), x - x.mean()) for y, x in arms]
    variance = sum(float(x @ x) for _, x in pairs)
    return sum(float(y @ x) for y, x in pairs) / variance if variance else 0.0
