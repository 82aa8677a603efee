"""People who come on some days and take up some of what they are shown, each by a habit of hers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movierec_assets.monitoring.arms import Users
from movierec_assets.monitoring.power import History


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
    ) -> NDArray[np.int64]:
        """(V,) of each who came: movies taken up from the other ranking's side of a list, less
        those of production's.

        Both rankings draft each list in turn (Radlinski et al. 2008, "How Does Clickthrough Data
        Reflect Retrieval Quality?"). What both would show says nothing, so all of the effect is in
        the rest of the movies.
        """
        shape = len(self.visits), days
        shown = random.random(shape) < self.visits[:, None]
        taste = np.minimum(self.taste * (1 + effect / 2), 1.0)
        telling = (random.random(shape) < taste[:, None]) & (random.random(shape) > common)
        better = 1 + effect / (1 - common)
        theirs = random.random(shape) < better / (1 + better)
        credit = np.where(theirs, 1, -1) * (shown & telling)
        return np.asarray(credit.sum(axis=1)[shown.any(axis=1)])


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
