"""How often the gate promotes healthy and broken challengers, beside the rule "not lower than production".

A case is fitted on several days of several sets; each fit is judged on several resamples of its users. The
resamples of one fit share its random start, so the intervals are of users more than of fits: both are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from bench.generator import frame, generate
from bench.goals import goal, wilson
from bench.models import PARAMETERS, Day, movielens, train, train_day
from movierec_assets.evaluation.comparison import Comparison, compare, overlap
from movierec_assets.evaluation.gate import judge
from movierec_assets.evaluation.offline import rows_of
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.training.interactions import Interactions, interactions_of
from movierec_serving.bundle import Bundle

FITS = 10  # of each case: days, seeds
RESAMPLES = 30  # of the users, for each fit
STALE_DAYS = 28
SANE = {"users": 1000.0, "ndcg_at_10": 1.0, "popularity_ndcg_at_10": 0.0}  # only the comparison is on trial
Twin = Callable[[Interactions, Day, np.random.Generator], Bundle]


def half_lost(training: Interactions, _: Day, random: np.random.Generator) -> Bundle:
    return train(training.select(random.random(len(training)) < 0.5))


def fifth_lost(training: Interactions, _: Day, random: np.random.Generator) -> Bundle:
    return train(training.select(random.random(len(training)) < 0.8))


def shuffled(training: Interactions, _: Day, random: np.random.Generator) -> Bundle:
    """A third of the users have each other's movies: pairs are lost where two fall together."""
    users = len(training.user_ids)
    chosen = random.permutation(users)[: users // 3]
    rows = np.arange(users, dtype=np.int32)
    rows[chosen] = np.roll(chosen, 1)
    return train(replace(training, users=rows[training.users]))


def scrambled(training: Interactions, yesterday: Day, random: np.random.Generator) -> Bundle:
    healthy = train(training, parent=yesterday.twin)
    factors = np.array(healthy.item_factors)
    chosen = random.permutation(len(factors))[: len(factors) // 10]
    factors[chosen] = factors[np.roll(chosen, 1)]
    return replace(healthy, item_factors=factors)


def poisoned(training: Interactions, yesterday: Day, random: np.random.Generator) -> Bundle:
    """Half as many ratings again, 5 stars at random, by accounts that did not exist."""
    count = len(training) // 2
    fakes = max(count // 50, 1)
    users = len(training.user_ids)
    codes = np.unique(random.integers(fakes * len(training.movie_ids), size=count))
    data = Interactions(
        (*training.user_ids, *(f"~{fake:06d}" for fake in range(fakes))), training.movie_ids,
        np.concatenate([training.users, users + codes // len(training.movie_ids)]).astype(np.int32),
        np.concatenate([training.movies, codes % len(training.movie_ids)]).astype(np.int32),
        np.concatenate([training.ratings, np.full(len(codes), 5, np.float32)]),
        np.concatenate([training.rated_at, np.full(len(codes), training.rated_at.max())]),
    )  # fmt: skip
    return train(data, parent=yesterday.twin)


def _with(**changed: int) -> Twin:
    return lambda training, _, __: train(training, {**PARAMETERS, **changed})


CASES: dict[str, Twin] = {
    "healthy, warm": lambda training, yesterday, _: train(training, parent=yesterday.twin),
    "healthy, other seed": lambda training, _, random: train(training, seed=int(random.integers(1, 2**31))),
    "half the data lost": half_lost,
    "a fifth lost": fifth_lost,
    "movies scrambled, 10 %": scrambled,
    "users shuffled, a third": shuffled,
    "one iteration": _with(iterations=1),
    "4 factors": _with(factors=4),
    "28 days stale": lambda training, _, __: train(
        training.select(training.rated_at < training.rated_at.max() - STALE_DAYS * 86_400)
    ),
    "one poisoned day": poisoned,
}


def in_rows_of(model: Bundle, space: Bundle) -> Bundle:
    """`model`'s factors in the rows of `space`, whose training pairs it takes over.

    A movie that it does not know has zeros. A user has the mean user's, which is close to the popularity that
    an endpoint answers with: zeros would make a stale model worse than it is.
    """
    changed = {}
    for side, ids in (("user_factors", "user_ids"), ("item_factors", "item_ids")):
        rows, there = rows_of(getattr(model, ids), getattr(space, ids))
        known = np.asarray(getattr(model, side))
        other = known.mean(axis=0) if side == "user_factors" else np.zeros(known.shape[1], np.float32)
        changed[side] = np.where(there[:, None], known[rows], other).astype(np.float32)
    return replace(space, **changed)


def days_of(ratings: pd.DataFrame, fits: int) -> Iterator[tuple[Interactions, Day]]:
    """The data of a day, and yesterday's warm model, for so many days from the last one back."""
    days = sorted(ratings["day"].unique())
    for nth in range(fits):
        last = len(days) - 1 - 3 * nth
        before = train_day(interactions_of(ratings[ratings["day"] <= days[last - 2]]), seed=nth)
        yesterday = train_day(interactions_of(ratings[ratings["day"] <= days[last - 1]]), parent=before)
        yield interactions_of(ratings[ratings["day"] <= days[last]]), yesterday


def resampled(one: Comparison, random: np.random.Generator) -> Comparison:
    rows = random.integers(len(one.known), size=len(one.known))
    return replace(one, challenger=one.challenger[rows], reference=one.reference[rows], known=one.known[rows])


def sets() -> dict[str, pd.DataFrame]:
    found = {}
    try:
        found["MovieLens 100k"] = movielens()
    except FileNotFoundError as error:
        print(error)
    found["generated, 1,000 users"] = frame(
        generate(users=1000, movies=1500, ratings=95_000, days=200, seed=1, drift=0.2)
    )
    return found


def main() -> None:
    promoted: dict[str, list[tuple[bool, bool]]] = {case: [] for case in CASES}
    overlaps = []
    chosen = sets()
    for name, ratings in chosen.items():
        at = {case: len(found) for case, found in promoted.items()}
        for nth, (data, yesterday) in enumerate(days_of(ratings, FITS // len(chosen))):
            training = data.select(~temporal_holdout(data.users))
            served, twin = train(data, parent=yesterday.served), train(training, parent=yesterday.twin)
            overlaps.append(overlap(served, twin))
            for case, make in CASES.items():
                random = np.random.default_rng([nth, 7])
                challenger = in_rows_of(make(training, yesterday, random), twin)
                found = compare(served, challenger, {"production": yesterday.twin})["production"]
                for _ in range(RESAMPLES):
                    one = resampled(found, random)
                    passed = (
                        judge(SANE, {"production": one}, 1.0, margin=0.05, level=0.95).decision == "passed"
                    )
                    naive = one.challenger[one.known].mean() >= one.reference[one.known].mean()
                    promoted[case].append((passed, bool(naive)))
        for case, some in promoted.items():
            gate, naive = np.mean(some[at[case] :], axis=0)
            print(f"{name}: {case}: gate {gate:.1%}, naive {naive:.1%}", flush=True)
    count = len(next(iter(promoted.values())))
    print(
        f"\nPromoted, of {count} replicates ({count // RESAMPLES} fits x {RESAMPLES} resamples of users):\n"
    )
    print("| challenger | the gate | 95 % | not lower than production |\n|---|---|---|---|")
    for case, some in promoted.items():
        gate, naive = np.sum(some, axis=0)
        low, high = wilson(int(gate), count)
        print(f"| {case} | {gate / count:.1%} | {low:.1%} to {high:.1%} | {naive / count:.1%} |")
    print(
        f"\nserved and twin share {min(overlaps):.2f} to {max(overlaps):.2f} of the top 10 (at least 0.5 pass)\n"
    )
    rates = {case: np.mean(some, axis=0) for case, some in promoted.items()}
    for case in ("half the data lost", "users shuffled, a third", "4 factors"):
        goal(f"gate, {case}", rates[case][0], 0)
    goal("gate, healthy warm chain", rates["healthy, warm"][0], 0.98, at_most=False)
    for case in ("movies scrambled, 10 %", "28 days stale"):
        goal(f"gate, {case}, below half the naive rule's", rates[case][0], rates[case][1] / 2)
