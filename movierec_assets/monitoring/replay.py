"""What another share of places for new movies would have brought, from the lists that were shown.

Each place was drawn by itself with a known probability, so a list has a weight: how much likelier
its draw is under the share that is asked for. The weights are those of the whole draw, so nothing
is supposed of how places act on each other. Estimators, by their names in the field:

- IPS, inverse propensity scores: Horvitz and Thompson (1952), "A generalization of sampling without
  replacement from a finite universe".
- SNIPS, self-normalised: Swaminathan and Joachims (2015), "The self-normalized estimator for
  counterfactual learning".
- DR, doubly robust: Dudik, Langford and Li (2011), "Doubly robust policy evaluation and learning".
- The same as in Saito et al. (2020), "Open Bandit Dataset and Pipeline".

It is one list that is judged: what a new movie's first ratings bring later is not in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from movierec_assets.monitoring.outcomes import MIN_USERS, K, Z
from movierec_serving.bundle.exploration import drawn

Values = NDArray[np.float64]
# Effective. With fewer that led to something the intervals are too narrow, as
# `bench/experiments/replay.py` shows; with fewer at all, a few of large weight decide.
MIN_LISTS, MIN_ACTIONS = 200, 20
FOLDS = 5  # of users: a list's outcome is expected by what others did
MORE = "ask for more days"
PENALTY = 10.0  # of the ridge; lists without the place that count against its effect
RATES: Mapping[str, tuple[str, str]] = {  # what is counted, over what
    "hit_rate": ("hit", "lists"),
    "ctr": ("taken_up", "shown"),
    "like_rate": ("liked", "shown"),
    "dislike_rate": ("disliked", "shown"),
}


@dataclass(frozen=True)
class Lists:
    """Lists that were shown, (N,) each.

    Attributes:
        user: whose, numbers from 0 on.
        share: with which each place was drawn, above 0 and below 1.
        drawn: (N, K) whether a place was, also where no new movie was left for it.
        there: (N, K) whether the list has the place.
        rows: (N rows) what became of them, the columns of `RATES`.
    """

    user: NDArray[np.int64]
    share: Values
    drawn: NDArray[np.bool_]
    there: NDArray[np.bool_]
    rows: pd.DataFrame

    def __len__(self) -> int:
        return len(self.user)

    def weights(self, share: float) -> Values:
        """(N,) how much likelier each draw is under another share."""
        own = self.share[:, None]
        ratio = np.where(self.drawn, share / own, (1 - share) / (1 - own))
        return np.asarray(np.where(self.there, ratio, 1.0).prod(axis=1))

    def effective(self, share: float) -> float:
        """How many lists of another share these are worth: Kish (1965), "Survey Sampling".

        By the squared weights in the mean over draws. Those of the draws that fell would say too
        much where the rare ones, which weigh most, have not come yet.
        """
        own = self.share
        squares = (share**2 / own + (1 - share) ** 2 / (1 - own)) ** self.there.sum(axis=1)
        return float(len(self) ** 2 / squares.sum())


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval over users, the days of one being alike."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Replayed:
    """A rate under the share that is asked for.

    Attributes:
        shown: what the lists brought as they were.
        more: `dr` less `shown`.
    """

    shown: Estimate
    ips: Estimate
    snips: Estimate
    dr: Estimate
    more: Estimate


@dataclass(frozen=True)
class CannotTell:
    """The log does not say; `why` does, and what to do."""

    why: str


def lists_of(rows: pd.DataFrame) -> Lists:
    """The lists of `warehouse.explored`, without those whose written places are not those of their
    draw: of them no probability is known.
    """
    draws, shares = np.zeros((len(rows), K), bool), np.zeros(len(rows))
    same = np.zeros(len(rows), bool)
    said = zip(rows["recommendation_id"], rows["explored"], rows["places"], strict=True)
    for row, (id_, explored, places) in enumerate(said):
        about = json.loads(explored)
        whole = [place + 1 for place in drawn(id_.rpartition("-")[2], about["share"], places)]
        # Where fewer new movies were left than places drawn, the first ones got them.
        same[row] = whole[: len(about["places"])] == about["places"]
        draws[row, [place - 1 for place in whole if place <= K]] = True
        shares[row] = about["share"]
    there = np.arange(K) < rows["places"].to_numpy()[:, None]
    user, _ = pd.factorize(rows["user_id"][same])
    return Lists(
        user=user.astype(np.int64),
        share=shares[same],
        drawn=draws[same],
        there=there[same],
        rows=rows[same].reset_index(drop=True),
    )


def replay(
    lists: Lists,
    rate: str,
    share: float,
    *,
    least_lists: float = MIN_LISTS,
    least_actions: float = MIN_ACTIONS,
) -> Replayed | CannotTell:
    """A rate of `RATES` under another share of places, 0 to below 1.

    Args:
        least_lists: effective ones, with fewer of which it cannot tell.
        least_actions: likewise, of lists that led to what is counted.
    """
    gained, counted = RATES[rate]
    gains, over = (lists.rows[name].to_numpy(np.float64) for name in (gained, counted))
    users, worth = len(np.unique(lists.user)), lists.effective(share)
    if users < MIN_USERS:
        return CannotTell(f"{users} users were shown such lists, {MIN_USERS} are needed: {MORE}")
    for kind, value, least in (
        ("lists", worth, least_lists),
        ("lists with such an action", worth * float((gains > 0).mean()), least_actions),
    ):
        if value < least:
            return CannotTell(
                f"what was shown is worth {value:,.0f} {kind} of share {share:g}, {least:g} are "
                f"needed: {MORE}, or for a share nearer to the one in use"
            )
    weights, user = lists.weights(share), lists.user
    as_drawn, as_asked = _expected(lists, gains, share)
    robust = as_asked + weights * (gains - as_drawn)
    return Replayed(
        shown=_ratio(gains, over, user),
        ips=_ratio(weights * gains, over, user),
        snips=_ratio(weights * gains, weights * over, user),
        dr=_ratio(robust, over, user),
        more=_ratio(robust - gains, over, user),
    )


def _expected(lists: Lists, gains: Values, share: float) -> tuple[Values, Values]:
    """(N,) what each list brings by its draw, and (N,) in the mean over draws with another share.

    A ridge regression on the drawn places, from the lists of other users. The mean over draws is
    exact, since it is linear.
    """
    places, asked = lists.drawn & lists.there, share * lists.there
    as_drawn, as_asked = np.empty(len(lists)), np.empty(len(lists))
    for fold in range(FOLDS):
        inside = lists.user % FOLDS == fold
        told, mean = places[~inside].astype(np.float64), gains[~inside].mean()
        usual = told.mean(axis=0)
        x = told - usual
        normal = x.T @ x + PENALTY * np.eye(x.shape[1])
        effects = np.linalg.solve(normal, x.T @ (gains[~inside] - mean))
        as_drawn[inside] = mean + (places[inside] - usual) @ effects
        as_asked[inside] = mean + (asked[inside] - usual) @ effects
    return as_drawn, as_asked


def _ratio(gains: Values, over: Values, user: NDArray[np.int64]) -> Estimate:
    """The linearised ratio over users; its source is in `arms.py`."""
    y, d = np.bincount(user, gains), np.bincount(user, over)
    middle = float(y.sum() / d.sum())
    residuals = (y - middle * d) / d.mean()
    half = Z * float(np.sqrt(residuals.var(ddof=1) / len(d)))
    return Estimate(middle, middle - half, middle + half)
