"""Small sites: how old production is, and whether a broken model is promoted, by today's gate.

`python -m bench small`: a world is a site of 30 to 300 users of its own, from its first day on.
Each day a model is trained, judged by the product's rule and, if it passes, production. On the last
day broken challengers are judged as well. The rule for large sites judges the same days beside it.
BENCH_WORLDS and BENCH_DAYS scale it; one core does 300 worlds of 14 days in some eight minutes.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from bench.goals import goal, wilson
from bench.models.chain import Day, train_day, with_arrays
from bench.models.gate import shuffle
from bench.models.generator import frame, generate
from movierec_assets.evaluation.offline import evaluate
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.promotion.comparison import (
    against_popularity,
    compare,
    kept_share,
    overlap,
    same_recipe,
    usual_overlap,
)
from movierec_assets.promotion.gate import judge
from movierec_assets.promotion.interval import interval
from movierec_assets.promotion.small_site import Limits, SmallSite
from movierec_assets.ratings.interactions import Interactions, interactions_of
from movierec_assets.settings import Settings
from movierec_assets.training.als import ALS, residuals

WORLDS = int(os.environ.get("BENCH_WORLDS", "300"))
DAYS = int(os.environ.get("BENCH_DAYS", "14"))
FIRST_WEEK = 7
USERS, RATINGS_A_DAY = (30, 300), (1.5, 4.0)  # lowest and highest; the latter for each user
OPEN = {name: Settings.model_fields[given].default for name, given in ALS.settings.items()}


def limits() -> Limits:
    """What the settings say about small sites where nothing is set."""
    fields = Settings.model_fields
    return Limits(
        users=fields["gate_small_users"].default,
        overlap=fields["gate_small_overlap"].default,
        kept=fields["gate_kept_ratings"].default,
        residual=fields["gate_residual"].default,
    )


MARGIN = Settings.model_fields["gate_margin"].default
LEVEL = Settings.model_fields["gate_level"].default


@dataclass
class Site:
    """A site by one rule: its production and its anchor, and what was decided on each day.

    Attributes:
        ages: of production on each day, in days; None while there is none.
        ndcg: production's NDCG@10 on the holdout of its own day.
    """

    small: bool
    production: Day | None = None
    anchor: Day | None = None
    ndcg: float | None = None
    since: int = -1
    ages: list[int | None] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)

    def judge(self, day: Day, data: Interactions) -> tuple[str, float | None]:
        """The verdict on a challenger, as `gate_verdict` comes to it, and its NDCG@10."""
        metrics = evaluate(day.twin, data.select(temporal_holdout(data))).metrics
        before, anchor = self.production, self.anchor
        against = {"production": before.twin} if before else {}
        if anchor is not None and anchor is not before:
            against["anchor"] = anchor.twin
        site = self._site(day, data) if self.small else None
        verdict = judge(
            metrics,
            compare(day.served, day.twin, against),
            overlap(day.served, day.twin),
            margin=MARGIN,
            level=LEVEL,
            before=self.ndcg,
            usual=usual_overlap(day.served, before.served, before.twin) if before else None,
            site=site,
        )
        return verdict.decision, metrics.get("ndcg_at_10")

    def _site(self, day: Day, data: Interactions) -> SmallSite:
        own, popular = against_popularity(day.served, day.twin)
        before = self.production
        return SmallSite(
            limits=limits(),
            accepted=len(data),
            held=len(day.served.seen_items),
            kept=kept_share(day.served, before.served) if before else 1.0,
            residuals=residuals(day.served).larger(residuals(day.twin)),
            popularity=interval(own, popular, margin=MARGIN, level=LEVEL),
            new_settings=before is not None and not same_recipe(before.served, day.served),
        )

    def live(self, nth: int, day: Day, data: Interactions) -> None:
        """One day: judge its model, and let it be production if it passes."""
        decision, ndcg = self.judge(day, data)
        self.verdicts[decision] += 1
        if decision == "passed":
            self.production, self.since, self.ndcg = day, nth, ndcg
            self.anchor = self.anchor or day  # the first model was fitted cold
        self.ages.append(nth - self.since if self.production else None)


def world(seed: int) -> tuple[dict[bool, Site], dict[str, str]]:
    """A site's days by the small rule and by the large one; the verdict on each broken model."""
    random = np.random.default_rng([seed, 23])
    users = int(random.integers(USERS[0], USERS[1] + 1))
    a_day = users * random.uniform(*RATINGS_A_DAY)
    size = {"users": users, "movies": 8 * int(random.integers(8, 40))}
    ratings = frame(generate(**size, ratings=int(a_day * DAYS), days=DAYS, seed=5000 + seed))
    with threadpool_limits(1):
        sites, parent = {small: Site(small) for small in (True, False)}, None
        for nth, day in enumerate(sorted(set(ratings["day"]))):
            data = interactions_of(ratings[ratings["day"] <= day])
            parent = train_day(data, ALS.sized(OPEN, len(data)), parent, seed)
            for site in sites.values():
                site.live(nth, parent, data)
        return sites, _broken(sites[True], ratings, seed)


def _broken(site: Site, ratings: pd.DataFrame, seed: int) -> dict[str, str]:
    """Verdicts on challengers of the last day that something is wrong with.

    The site is as it was before its own model of that day came: a broken one is judged in its
    place.
    """
    data = interactions_of(ratings)
    parameters = ALS.sized(OPEN, len(data))
    half = data.select(np.random.default_rng([seed, len(data)]).random(len(data)) < 0.5)
    made = {
        "half of the ratings lost in the fit": train_day(half, parameters, seed=seed),
        "a third of the users shuffled": train_day(shuffle(data, seed), parameters, seed=seed),
        "4 factors": train_day(data, {**parameters, "factors": 4}, seed=seed),
        "one iteration": train_day(data, {**parameters, "iterations": 1}, seed=seed),
        "movies mixed up, a tenth": _mixed(train_day(data, parameters, seed=seed), seed),
    }
    verdicts = {name: site.judge(day, data)[0] for name, day in made.items()}
    delivered = train_day(half, ALS.sized(OPEN, len(half)), seed=seed)
    return {**verdicts, "half of the ratings lost in the delivery": site.judge(delivered, half)[0]}


def _mixed(day: Day, seed: int) -> Day:
    """A tenth of the movies have each other's factors, in the served model and its twin."""

    def mixed(model):  # type: ignore[no-untyped-def]
        factors = np.array(model.item_vectors)
        rows = np.random.default_rng(seed).permutation(len(factors))[: max(len(factors) // 10, 2)]
        factors[rows] = factors[np.roll(rows, 1)]
        return with_arrays(model, item_factors=factors)

    return Day(mixed(day.served), mixed(day.twin))


def main() -> bool:
    """The tables; whether every goal is met."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes below, each of which has a core
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(int(os.environ.get("BENCH_JOBS", "1")), context) as pool:
        results = list(pool.map(world, range(WORLDS)))
    print(f"{len(results)} sites of {USERS[0]} to {USERS[1]} users, {DAYS} days each:\n")
    print("| rule | verdicts | first production, day | at most 2 days old after the first week |")
    print("|---|---|---|---|")
    shares = {small: _ages([sites[small] for sites, _ in results]) for small in (True, False)}
    print(
        "\n| broken challenger | promoted | 95 % | awaits a person | refused |"
        "\n|---|---|---|---|---|"
    )
    rates = {}
    for name in results[0][1]:
        verdicts = Counter(broken[name] for _, broken in results)
        low, high = wilson(verdicts["passed"], len(results))
        others = verdicts["awaiting_approval"] / len(results), verdicts["refused"] / len(results)
        rate = verdicts["passed"] / len(results)
        print(
            f"| {name} | {rate:.1%} | {low:.1%} to {high:.1%} | {others[0]:.1%} | {others[1]:.1%} |"
        )
        rates[name] = rate
    print()
    met = [goal("small, healthy production at most 2 days old", shares[True], 0.95, at_most=False)]
    return all([*met, *(goal(f"small, {name}", rate, 0.02) for name, rate in rates.items())])


def _ages(sites: list[Site]) -> float:
    """Print a rule's row; the share of days after the first week with a fresh production."""
    later = [age for site in sites for age in site.ages[FIRST_WEEK:]]
    fresh = sum(age is not None and age <= 2 for age in later) / len(later)
    firsts = [
        next((nth for nth, age in enumerate(site.ages, 1) if age is not None), DAYS + 1)
        for site in sites
    ]
    total = sum((site.verdicts for site in sites), Counter())
    said = ", ".join(f"{name} {count}" for name, count in total.most_common())
    rule = "small" if sites[0].small else "large"
    print(f"| {rule} | {said} | {np.median(firsts):.0f}, at most {max(firsts)} | {fresh:.1%} |")
    return fresh


if __name__ == "__main__":
    main()
