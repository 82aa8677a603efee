"""Whether a replay of the log tells what another share of places for new movies brings: the truth
is known, since the people are simulated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import beta

from bench.experiments.people import ATTENTION, PLACES, World
from bench.goals import goal
from movierec_assets.monitoring.outcomes import Z
from movierec_assets.monitoring.replay import (
    MIN_ACTIONS,
    MIN_LISTS,
    Lists,
    Replayed,
    replay,
)
from movierec_serving.bundle.exploration import drawn

PEOPLE, DAYS, WORLDS = 3000, 30, 200
ASKED = (0.0, 0.05, 0.15, 0.2, 0.3)
LIKES_NEW, HAS_NEW = np.array([0.3, 2.0]), np.array([PLACES, 2])  # of rare and of frequent guests
LEFT = 0.85  # of a list's appeal, for each new movie beyond the first
QUIET, BUSY = 1.0, 2.0  # how likely people take something up, by day
FEW = (100, PEOPLE)  # people, to see how few lists are too few
KEPT = (1.0, 0.1, 0.02)  # of what they took up, for rates as rare as a like
ESTIMATORS = ("ips", "snips", "dr")


@dataclass(frozen=True)
class Site:
    """What its lists were drawn with in the first half of the days and in the second, and how
    likely people took movies up then.
    """

    name: str
    shares: tuple[float, float]
    days: tuple[float, float]

    def shown(self, people: int, random: np.random.Generator) -> Lists:
        """The log of one world, with what became of each list."""
        world = World.of(people, random)
        visits = random.random((people, DAYS)) < world.visits[:, None]
        user, day = np.nonzero(visits)
        half = (day >= DAYS // 2).astype(int)
        share = np.array(self.shares)[half]
        bits, digits = random.bytes(12 * len(user)).hex(), range(0, 24 * len(user), 24)
        tokens = [bits[digit : digit + 24] for digit in digits]
        places = [drawn(*its, PLACES) for its in zip(tokens, share.tolist(), strict=True)]
        draws = np.zeros((len(user), PLACES), bool)
        draws[
            np.repeat(np.arange(len(user)), list(map(len, places))),
            list(chain.from_iterable(places)),
        ] = True
        often = (world.visits > MEDIAN).astype(int)[user]
        wanted = world.taste[user] * np.array(self.days)[half] * _appeal(draws, often)
        hit = (random.random(len(user)) < 1 - np.exp(-wanted)).astype(int)
        rows = pd.DataFrame({"hit": hit, "lists": 1, "new": _given(draws, often).sum(axis=1)})
        _, user = np.unique(user, return_inverse=True)
        return Lists(user, share, draws, np.ones_like(draws), rows)

    def truth(self, share: float) -> float:
        """The hit rate of all its visits with a share: over all draws, tastes and kinds of days."""
        draws = (np.arange(2**PLACES)[:, None] >> np.arange(PLACES) & 1).astype(bool)
        likely = np.where(draws, share, 1 - share).prod(axis=1)
        taste = beta.ppf((np.arange(2000) + 0.5) / 2000, 2, 6)
        value = 0.0
        for often, weight in enumerate((1 - FREQUENT, FREQUENT)):
            appeal = _appeal(draws, np.full(len(draws), often))
            for day in self.days:
                hit = 1 - np.exp(-day * appeal[:, None] * taste)
                value += weight * float(likely @ hit.mean(axis=1)) / len(self.days)
        return value


STEADY = Site("always 0.1", (0.1, 0.1), (QUIET, QUIET))
RAISED = Site("0.1, then 0.2 in busier days", (0.1, 0.2), (QUIET, BUSY))
MEDIAN = float(beta.ppf(0.5, 1, 4))  # of how often people come
FREQUENT = float(beta.sf(MEDIAN, 2, 4))  # of the visits, those of the half that comes more often


def main() -> bool:
    """All parts; whether every goal is met."""
    print(
        f"{WORLDS} worlds of {PEOPLE:,} people, {DAYS} days; hit rate of a list, 95 % intervals\n"
    )
    print(
        "| drawn with | asked | effective lists | truth | estimator | bias | covered | half width |"
    )
    print("|---|---|---|---|---|---|---|---|")
    sites = {site.name: _told(site) for site in (STEADY, RAISED)}
    print()
    met = [told.good() for of_site in sites.values() for told in of_site]
    for name, of_site in sites.items():
        own, naive = (
            sum(abs(told.found[which][0]) for told in of_site) for which in ("dr", "naive")
        )
        met.append(goal(f"replay {name}, bias of the naive comparison's", own / naive, 0.1))
    met.append(_few())
    return all(met)


@dataclass(frozen=True)
class Told:
    """What `_against` says of each estimator, for a site's worlds and a share."""

    case: str
    found: dict[str, tuple[float, float, float]]

    def good(self) -> bool:
        """Print the goals' lines; whether they are met."""
        bias, covered, half = self.found["dr"]
        return all(
            [
                goal(f"replay {self.case}, coverage", covered, 0.9, at_most=False),
                goal(f"replay {self.case}, bias of half its interval", abs(bias) / half, 0.2),
            ]
        )


def _told(site: Site) -> list[Told]:
    """Many worlds' answers against the truth, and what lists with as many new movies had."""
    worth = np.zeros((WORLDS, len(ASKED)))
    values = np.full((WORLDS, len(ASKED), len(ESTIMATORS) + 1, 3), np.nan)
    for seed in range(WORLDS):
        lists = site.shown(PEOPLE, np.random.default_rng(seed))
        for place, share in enumerate(ASKED):
            worth[seed, place] = lists.effective(share)
            answer = replay(lists, "hit_rate", share)
            if isinstance(answer, Replayed):
                estimates = [vars(getattr(answer, name)).values() for name in ESTIMATORS]
                values[seed, place] = [list(one) for one in (*estimates, _naive(lists, share))]
    told = []
    for place, share in enumerate(ASKED):
        truth, answers = site.truth(share), values[~np.isnan(values[:, place, 0, 0]), place]
        found = {
            name: _against(truth, answers[:, which])
            for which, name in enumerate((*ESTIMATORS, "naive"))
        }
        about = f"| {site.name} | {share:g} | {worth[:, place].mean():,.0f} | {truth:.4f}"
        for name, (bias, covered, half) in found.items():
            print(f"{about} | {name} | {bias:+.2%} | {covered:.1%} | {half:.1%} |")
        told.append(Told(f"{site.name}, asked {share:g}", found))
    return told


def _against(truth: float, values: NDArray[np.float64]) -> tuple[float, float, float]:
    """(bias, share of intervals that cover the truth, their mean half width), the first and the
    last relative to it.
    """
    middle, low, high = values.T
    covered, half = (low <= truth) & (truth <= high), (high - low).mean() / 2
    return float(middle.mean() / truth - 1), float(covered.mean()), float(half / truth)


def _given(draws: NDArray[np.bool_], often: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(N, K) the drawn places that got a movie: frequent guests have few left."""
    return np.asarray(draws & (draws.cumsum(axis=1) <= HAS_NEW[often][:, None]))


def _appeal(draws: NDArray[np.bool_], often: NDArray[np.integer]) -> NDArray[np.float64]:
    """(N,) of a list, 1 where it has no new movie. Several of them put people off, so that what
    places bring is no sum.
    """
    given = _given(draws, often)
    of_places = np.where(given, LIKES_NEW[often][:, None], 1.0) @ ATTENTION
    return np.asarray(of_places * LEFT ** np.maximum(given.sum(axis=1) - 1, 0))


def _naive(lists: Lists, share: float) -> tuple[float, float, float]:
    """The lists that happened to have as many new movies as the share would give in the mean."""
    alike = lists.rows["new"].to_numpy() == math.floor(share * PLACES + 0.5)
    hit, user = lists.rows["hit"].to_numpy(np.float64)[alike], lists.user[alike]
    y, d = np.bincount(user, hit), np.bincount(user).astype(np.float64)
    y, d = y[d > 0], d[d > 0]
    middle = y.sum() / d.sum()
    half = Z * float(((y - middle * d) / d.mean()).std(ddof=1) / np.sqrt(len(d)))
    return float(middle), float(middle - half), float(middle + half)


def _few() -> bool:
    """How often intervals cover the truth where the lists are worth little, by their worth, and
    where few of them led to anything.
    """
    truths = {share: STEADY.truth(share) for share in ASKED}
    answers = []  # effective lists, of them with an action, whether each interval covers
    for seed in range(2 * WORLDS):
        random = np.random.default_rng(10_000 + seed)
        lists = STEADY.shown(int(np.exp(random.uniform(*np.log(FEW)))), random)
        hit = lists.rows["hit"].to_numpy()
        for kept in KEPT:
            lists.rows["hit"] = hit * (random.random(len(hit)) < kept)
            for share, truth in truths.items():
                answer = replay(lists, "hit_rate", share, least_lists=0, least_actions=1)
                if isinstance(answer, Replayed):
                    intervals = (getattr(answer, name) for name in ESTIMATORS)
                    covers = [its.low <= kept * truth <= its.high for its in intervals]
                    worth = lists.effective(share)
                    answers.append([worth, worth * lists.rows["hit"].mean(), *covers])
    found = np.array(answers, float)
    print(f"\n{2 * WORLDS} worlds of {FEW[0]:,} to {FEW[1]:,} people, always 0.1", end="")
    print(f"; all that was taken up, and {', '.join(map(str, KEPT[1:]))} of it")
    enough = found[found[:, 1] >= MIN_ACTIONS]
    _by_worth("effective lists", enough, 0, (0, 50, 100, MIN_LISTS, 400, 800, np.inf))
    enough = found[found[:, 0] >= MIN_LISTS]
    _by_worth("of them with an action", enough, 1, (0, 5, 10, MIN_ACTIONS, 40, 80, np.inf))
    least = enough[(enough[:, 1] >= MIN_ACTIONS) & (enough[:, 1] < 2 * MIN_ACTIONS), 4]
    return goal("replay of just enough, coverage", float(least.mean()), 0.9, at_most=False)


def _by_worth(
    name: str, answers: NDArray[np.float64], column: int, edges: tuple[float, ...]
) -> None:
    print(f"\n| {name} | answers | IPS covers | SNIPS | DR |\n|---|---|---|---|---|")
    for low, high in pairwise(edges):
        part = answers[(low <= answers[:, column]) & (answers[:, column] < high)]
        if len(part):
            shares = " | ".join(f"{value:.1%}" for value in part[:, 2:].mean(axis=0))
            print(f"| {low} to {high} | {len(part):,} | {shares} |")
    print(flush=True)
