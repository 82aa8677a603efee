"""How often to train, and on how much of the past: `python -m bench policies`.

Each policy has a model as a day begins, and is judged by that day's ratings, by the product's own
`next_day`. All are compared with the default on the same users; BENCH_DAYS scales it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from bench.goals import goal
from bench.models.chain import PARAMETERS, defaults, movielens
from bench.models.generator import frame, generate, twenty_years
from movierec_assets.monitoring.prequential import Score, lead, next_day
from movierec_assets.ratings.interactions import interactions_of
from movierec_assets.training.als import ALS
from movierec_assets.training.trainer import fitted
from movierec_serving.bundle import Model

DAYS = int(os.environ.get("BENCH_DAYS", "90"))
EVERY = {"day": 10, "month": 7, "never": 0}  # digits of a date that change as seldom


@dataclass(frozen=True)
class Policy:
    """When a model is fitted, and by which parameters.

    Attributes:
        cold, warm: a fit is due where this part of the date is another than at the last one.
    """

    cold: str
    warm: str = "never"
    parameters: Mapping[str, Any] = field(default_factory=dict)


DEFAULT = "daily, warm; cold in a new month"
POLICIES = {
    DEFAULT: Policy("month", "day"),
    "daily, cold": Policy("day"),
    "weekly, cold": Policy("week"),
    "monthly, cold": Policy("month"),
    "daily, half-life 30 days": Policy("month", "day", {"half_life_days": 30.0}),
    "daily, half-life 365 days": Policy("month", "day", {"half_life_days": 365.0}),
    "daily, half-life 3,650 days": Policy("month", "day", {"half_life_days": 3650.0}),
    "daily, the last 90 days": Policy("month", "day", {"window_days": 90}),
}


@dataclass
class Runner:
    """One policy as its days go by."""

    policy: Policy
    model: Model | None = None
    fitted_on: str = ""
    cpu: float = 0.0
    scores: list[Score] = field(default_factory=list)

    def begin(self, day: str, ratings: pd.DataFrame) -> Model:
        """The model that is served on a day: of all ratings before it, if a fit is due."""
        cold = self.model is None or _another(self.policy.cold, self.fitted_on, day)
        if cold or _another(self.policy.warm, self.fitted_on, day):
            parameters = {**PARAMETERS, **self.policy.parameters}
            window = parameters["window_days"]
            if window is not None:
                since = pd.Timestamp(day) - pd.Timedelta(days=window)
                ratings = ratings[ratings["day"] >= since.date().isoformat()]
            data, until = interactions_of(ratings), str(ratings["day"].iloc[-1])
            sized = {**parameters, "regularization": defaults(ALS, len(data))["regularization"]}
            started = time.process_time()
            parent = None if cold else self.model
            self.model = fitted(ALS, data, until, sized, 0, parent).model(sized)
            self.cpu += time.process_time() - started
            self.fitted_on = day
        assert self.model is not None
        return self.model


def _another(part: str, before: str, day: str) -> bool:
    """Whether a part of the date changed."""
    if part == "week":
        return pd.Timestamp(before).isocalendar()[:2] != pd.Timestamp(day).isocalendar()[:2]
    digits = EVERY[part]
    return before[:digits] != day[:digits]


def compare(name: str, ratings: pd.DataFrame, days: list[str]) -> dict[str, tuple[float, ...]]:
    """Print a table; each policy's (low, middle, high) of NDCG@10 over the default's, minus 1."""
    runners = {label: Runner(policy) for label, policy in POLICIES.items()}
    ratings = ratings.sort_values("day", kind="stable")
    for day in days:
        past, today = ratings[ratings["day"] < day], ratings[ratings["day"] == day]
        models = {label: runner.begin(day, past) for label, runner in runners.items()}
        seen_today = interactions_of(today)
        for label, runner in runners.items():
            # The default says which movies count: each policy is judged on the same ones.
            runner.scores.append(next_day(day, seen_today, models[DEFAULT], models[label]))
    people = sum(score.users for score in runners[DEFAULT].scores)
    print(f"\n{name}: {days[0]} to {days[-1]}, {people:,} times somebody to judge by\n")
    print("| | over the default | 95 % | CPU-s of the fits |\n|---|---|---|---|")
    ratios = {}
    for label, runner in runners.items():
        turned = lead(runner.scores)
        if turned is None:  # on too few days it had anything to say
            print(f"| {label} | cannot be told | | {runner.cpu:.0f} |")
            continue
        low, middle, high = sorted(1 / (1 + value) - 1 for value in turned)
        ratios[label] = (low, middle, high)
        print(
            f"| {label} | {1 + middle:.3f} | {1 + low:.3f} to {1 + high:.3f} | {runner.cpu:.0f} |"
        )
    return ratios


def main() -> bool:
    """Compare the policies on each set; whether none is surely better than the default."""
    sets: dict[str, tuple[pd.DataFrame, int]] = {}
    moved = frame(generate(users=4000, movies=2500, ratings=500_000, days=240, seed=1, drift=0.3))
    sets["generated, as the tastes of a third have just moved"] = moved, 120
    sets["generated, half stars, twenty years"] = twenty_years(), -2 * DAYS
    try:
        sets["MovieLens 100k"] = movielens(), -DAYS
    except FileNotFoundError as error:
        print(error)
    met = []
    for name, (ratings, first) in sets.items():
        days = sorted(ratings["day"].unique())
        chosen = days[first:][: DAYS if first > 0 else None]
        ratios = compare(name, ratings, chosen)
        best = max(low for low, _, _ in ratios.values())
        met.append(goal(f"policies, {name}, best lower bound over the default", 1 + best, 1.02))
    return all(met)
