"""People who come on some days and take up some of what they are shown, each by a habit of hers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movierec_assets.monitoring.arms import Difference, Users, preference
from movierec_assets.monitoring.power import History
from movierec_assets.monitoring.sequential import ConfidenceSequence
from movierec_serving.bundle.drafting import draft

PLACES, BOTH = 10, -1
DRAFTS = 200  # of which each visit has one
ATTENTION = 1 / np.log2(np.arange(PLACES) + 2.0)  # how often a place is looked at
ATTENTION /= ATTENTION.sum()


@dataclass(frozen=True)
class World:
    """(U,) how likely each person comes on a day, and then takes a movie up.

    Both differ from person to person (beta distributions), which is what makes the days of one
    alike, and what CUPED can learn from the time before.
    """

    visits: NDArray[np.float64]
    taste: NDArray[np.float64]

    @classmethod
    def of(cls, people: int, random: np.random.Generator) -> World:
        return cls(random.beta(1, 4, people), random.beta(2, 6, people))

    def days(
        self,
        days: int,
        random: np.random.Generator,
        lifted: NDArray[np.bool_] | None = None,
        effect: float = 0.0,
    ) -> History:
        """What they did on so many days; the taste of those `lifted` is so much higher."""
        taste = self.taste
        if lifted is not None:
            taste = np.minimum(np.where(lifted, taste * (1 + effect), taste), 1.0)
        shape = len(self.visits), days
        shown = random.random(shape) < self.visits[:, None]
        gains = shown & (random.random(shape) < taste[:, None])
        return History(gains.astype(float), shown.astype(float))

    def interleaved(
        self, days: int, random: np.random.Generator, effect: float, common: float
    ) -> Interleaved:
        """What they took up from lists that were drafted from two rankings.

        Whole lists of the other ranking are taken up so much more often. All of that is in the
        movies that it alone has, since what both have is liked alike.

        Args:
            common: share of the movies that both rankings have, each at places of its own.
        """
        shape = len(self.visits), days
        shown = random.random(shape) < self.visits[:, None]
        side, better = _drafts(random, common)
        appeal = np.where(better, 1 + effect / max(1 - common, 1e-9), 1.0) * ATTENTION
        which = random.integers(len(side), size=shape)
        taken = shown & (random.random(shape) < (self.taste[:, None] * appeal.sum(axis=1)[which]))
        reached = appeal.cumsum(axis=1) / appeal.sum(axis=1, keepdims=True)
        place = (random.random(shape)[..., None] > reached[which]).sum(axis=-1)
        whose = side[which, np.minimum(place, PLACES - 1)]
        gains = [np.where(whose == BOTH, 0.5, whose == arm) * taken for arm in (0, 1)]
        return Interleaved(gains[0], gains[1], shown.astype(float))


@dataclass(frozen=True)
class Interleaved:
    """(U, T) of each person and day: what the control's places brought and the other's, and 1 where
    anything was shown.
    """

    control: NDArray[np.float64]
    other: NDArray[np.float64]
    shown: NDArray[np.float64]

    def compared(self, day: int, sequence: ConfidenceSequence) -> Difference | None:
        """At the end of a day."""
        control, other, days = (
            values[:, :day].sum(axis=1) for values in (self.control, self.other, self.shown)
        )
        came = days > 0
        return preference((control[came], other[came]), days[came], sequence)


def _drafts(
    random: np.random.Generator, common: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(D, 10) whose each place is, in some drafts; and whether the other ranking alone has it."""
    both = round(common * PLACES)
    control = np.array([f"movie {number}" for number in range(PLACES)])
    other = np.array([*control[:both], *(f"other {number}" for number in range(both, PLACES))])
    drafts = [
        draft(
            random.permutation(control).tolist(),
            random.permutation(other).tolist(),
            PLACES,
            str(random.integers(1 << 60)),
        )
        for _ in range(DRAFTS)
    ]
    sides = [[BOTH if side is None else side for _, side in one] for one in drafts]
    better = [[movie.startswith("other") for movie, _ in one] for one in drafts]
    return np.array(sides), np.array(better)


def until(history: History, day: int, some: NDArray[np.bool_], before: History | None) -> Users:
    """Those of `some` who came in the first `day` days, with what they did then and before."""
    gains, days = history.gains[some, :day].sum(axis=1), history.shown[some, :day].sum(axis=1)
    came = days > 0
    known = None
    if before is not None:
        earlier, shown = before.gains[some].sum(axis=1), before.shown[some].sum(axis=1)
        mean = earlier.sum() / max(shown.sum(), 1.0)
        known = (earlier - mean * shown)[came]  # 0 where nothing is known
    return Users(gains[came], days[came], known)
