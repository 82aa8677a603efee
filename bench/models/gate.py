"""How often the gate promotes healthy and broken challengers, beside the rule "not lower than
production".

A replicate is a world of its own: a generated set, or MovieLens 100k with its users drawn again
with replacement, up to a day drawn at random; with its seed a chain of warm models leads to that
day, as the product trains them, and every case is a challenger on it. Judged by the product's
`judge`, served bundle and popularity included.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bench.goals import goal, wilson
from bench.models.chain import PARAMETERS, Day, movielens, train, train_day, with_arrays
from bench.models.generator import frame, generate
from movierec_assets.evaluation.metrics import ndcg
from movierec_assets.evaluation.offline import evaluate, rows_of
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.promotion.comparison import K, compare, overlap, usual_overlap
from movierec_assets.promotion.gate import judge
from movierec_assets.promotion.interval import interval
from movierec_assets.ratings.interactions import SECONDS_A_DAY, Interactions, interactions_of
from movierec_serving.bundle import Evidence, Model, top_items
from movierec_serving.bundle.taste import SURELY_LIKED

REPLICATES = int(os.environ.get("BENCH_REPLICATES", "300"))
STUDIED = 60  # replicates of the other design
CHAIN = 4  # warm days since the cold model, which is the anchor
STALE_DAYS = 28
MARGIN, LEVEL = 0.05, 0.95
SANE = {"users": 1000.0, "ndcg_at_10": 1.0, "popularity_ndcg_at_10": 0.0}
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class World:
    """Everything up to a day, production (yesterday's model), the cold anchor, and today's healthy
    challenger.
    """

    data: Interactions
    anchor: Day
    yesterday: Day
    before: float  # production's NDCG@10 on the holdout of its own day
    today: Day
    random: np.random.Generator
    seed: int

    @cached_property
    def held(self) -> Mask:
        return temporal_holdout(self.data)


@cache
def _movielens() -> Interactions | None:
    try:
        return interactions_of(movielens())
    except FileNotFoundError as error:
        print(error)
        return None


def drawn_again(data: Interactions, random: np.random.Generator) -> Interactions:
    """As many users, drawn with replacement: each draw is somebody of their own, and named after
    the drawn one.
    """
    ends = np.cumsum(np.bincount(data.users))
    drawn = np.sort(random.integers(len(data.user_ids), size=len(data.user_ids)))
    spans = [np.arange(ends[user - 1] if user else 0, ends[user]) for user in drawn]
    rows = np.concatenate(spans)
    return Interactions(
        tuple(f"{user:04d}~{nth:04d}" for nth, user in enumerate(drawn)),
        data.movie_ids,
        np.repeat(np.arange(len(drawn)), [len(span) for span in spans]).astype(np.int32),
        data.movies[rows],
        data.ratings[rows],
        data.rated_at[rows],
    )


def until(data: Interactions, day: int) -> Interactions:
    return data.select(data.rated_at < (day + 1) * SECONDS_A_DAY)


def world(seed: int) -> World:
    random = np.random.default_rng([seed, 11])
    real = _movielens() if seed % 2 else None
    if real is not None:
        data = drawn_again(real, random)
    else:
        size = {"users": 1000, "movies": 1500, "ratings": 160_000, "days": 200}
        data = interactions_of(frame(generate(**size, seed=1000 + seed, drift=0.2)))
    days = np.unique(data.rated_at // SECONDS_A_DAY)
    last = int(random.integers(len(days) * 6 // 10, len(days)))
    chain = days[last - CHAIN - 1 : last + 1].tolist()
    models = [train_day(until(data, chain[0]), seed=seed)]
    for day in chain[1:]:
        models.append(train_day(until(data, day), parent=models[-1], seed=seed))
    before = until(data, chain[-2])
    own = evaluate(models[-2].twin, before.select(temporal_holdout(before))).metrics["ndcg_at_10"]
    return World(until(data, chain[-1]), models[0], models[-2], own, models[-1], random, seed)


# -- the fault is in the fit: the holdout is whole -------------------------------------------------


def _fitted(given: World, change: Callable[[Interactions], Interactions]) -> Day:
    """Twin cold, since its parent knows pairs that are missing, and served warm, both on what
    `change` leaves.
    """
    twin = train(change(given.data.select(~given.held)), seed=given.seed)
    return _on_holdout(
        given, Day(train(change(given.data), parent=given.yesterday.served, seed=given.seed), twin)
    )


def _on_holdout(given: World, broken: Day) -> Day:
    return Day(
        in_rows_of(broken.served, given.today.served), in_rows_of(broken.twin, given.today.twin)
    )


def in_rows_of(model: Model, space: Model) -> Model:
    """`model`'s factors in the rows of `space`, whose training pairs it takes over.

    A movie that it does not know has zeros. A user has the mean user's, which is close to the
    popularity that an endpoint answers with: zeros would make a stale model worse than it is.
    """
    changed = {}
    for side, ids in (("user_factors", "user_ids"), ("item_factors", "item_ids")):
        rows, there = rows_of(getattr(model, ids), getattr(space, ids))
        known = model.family.arrays[side]
        other = (
            known.mean(axis=0) if side == "user_factors" else np.zeros(known.shape[1], np.float32)
        )
        changed[side] = np.where(there[:, None], known[rows], other).astype(np.float32)
    return with_arrays(space, **changed)


def _lost(share: float) -> Callable[[World], Day]:
    def challenger(given: World) -> Day:
        def change(data: Interactions) -> Interactions:
            return data.select(
                np.random.default_rng([given.seed, len(data)]).random(len(data)) >= share
            )

        return _fitted(given, change)

    return challenger


def shuffled(given: World) -> Day:
    """A third of the users have each other's ratings."""
    return _fitted(given, lambda data: shuffle(data, given.seed))


def shuffle(data: Interactions, seed: int) -> Interactions:
    """The ratings, of which a third of the users have each other's."""
    shuffled = np.random.default_rng(seed).permutation(len(data.user_ids))
    shuffled = shuffled[: len(data.user_ids) // 3]
    rows = np.arange(len(data.user_ids), dtype=np.int32)
    rows[shuffled] = np.roll(shuffled, 1)
    order = np.argsort(rows[data.users], kind="stable")
    moved = {name: getattr(data, name)[order] for name in ("movies", "ratings", "rated_at")}
    return replace(data, users=rows[data.users][order], **moved)


def _scrambled(share: float, *, served_only: bool = False) -> Callable[[World], Day]:
    """So many movies have each other's factors."""

    def challenger(given: World) -> Day:
        shuffled = given.random.permutation(len(given.today.twin.item_ids))
        shuffled = shuffled[: max(int(len(shuffled) * share), 2)]
        ids = given.today.twin.item_ids[shuffled]

        def change(bundle: Model) -> Model:
            rows, _ = rows_of(bundle.item_ids, ids)
            factors = np.array(bundle.item_vectors)
            factors[rows] = factors[np.roll(rows, 1)]
            return with_arrays(bundle, item_factors=factors)

        twin = given.today.twin if served_only else change(given.today.twin)
        return Day(change(given.today.served), twin)

    return challenger


def _with(**changed: int) -> Callable[[World], Day]:
    return lambda given: train_day(given.data, {**PARAMETERS, **changed}, seed=given.seed)


def stale(given: World) -> Day:
    """The model of 28 days ago."""
    newest = int(given.data.rated_at.max()) // SECONDS_A_DAY
    return _on_holdout(given, train_day(until(given.data, newest - STALE_DAYS), seed=given.seed))


# -- the fault is in the day's delivery: holdout, training and evaluation are of what was delivered


def new_accounts(share: float) -> Callable[[World], tuple[Day, Interactions]]:
    """The day brings `share` of all ratings there are again, 5 stars at random, by accounts that
    did not exist.
    """

    def challenger(given: World) -> tuple[Day, Interactions]:
        data, random = given.data, given.random
        count = int(len(data) * share)
        fakes, users, movies = max(count // 50, 1), len(data.user_ids), len(data.movie_ids)
        codes = np.unique(random.integers(fakes * movies, size=count))
        poisoned = Interactions(
            (*data.user_ids, *(f"~{fake:06d}" for fake in range(fakes))),
            data.movie_ids,
            np.concatenate([data.users, users + codes // movies]).astype(np.int32),
            np.concatenate([data.movies, codes % movies]).astype(np.int32),
            np.concatenate([data.ratings, np.full(len(codes), 5, np.float32)]),
            np.concatenate([data.rated_at, np.full(len(codes), data.rated_at.max())]),
        )
        return train_day(poisoned, parent=given.yesterday, seed=given.seed), poisoned

    return challenger


def known_accounts(given: World) -> tuple[Day, Interactions]:
    """Every account rates 30 movies at random, as a broken join would deliver it."""
    data, random = given.data, given.random
    users, movies = len(data.user_ids), len(data.movie_ids)
    codes = np.setdiff1d(
        (np.arange(users)[:, None] * movies + random.integers(movies, size=(users, 30))).ravel(),
        data.users.astype(np.int64) * movies + data.movies,
    )
    rows = np.concatenate([data.users, codes // movies])
    columns = np.concatenate([data.movies, codes % movies])
    order = np.lexsort((columns, rows))
    poisoned = Interactions(
        data.user_ids,
        data.movie_ids,
        rows[order].astype(np.int32),
        columns[order].astype(np.int32),
        np.concatenate([data.ratings, random.integers(1, 6, len(codes)).astype(np.float32)])[order],
        np.concatenate([data.rated_at, np.full(len(codes), data.rated_at.max())])[order],
    )
    return train_day(poisoned, parent=given.yesterday, seed=given.seed), poisoned


def half_delivered(given: World) -> tuple[Day, Interactions]:
    """Half of the ratings are gone before the holdout is taken: it is of what is left."""
    data = given.data.select(given.random.random(len(given.data)) < 0.5)
    training = data.select(~temporal_holdout(data))
    served = train(data, parent=given.yesterday.served, seed=given.seed)
    return Day(served, train(training, seed=given.seed)), data


FITS: dict[str, Callable[[World], Day]] = {
    "healthy, warm chain": lambda given: given.today,
    "healthy, cold, other seed": lambda given: train_day(given.data, seed=given.seed + 10_000),
    "half the data lost": _lost(0.5),
    "a fifth lost": _lost(0.2),
    "movies scrambled, 10 %": _scrambled(0.1),
    "movies scrambled, 2 %": _scrambled(0.02),
    "movies scrambled, 10 %, served only": _scrambled(0.1, served_only=True),
    "users shuffled, a third": shuffled,
    "one iteration": _with(iterations=1),
    "4 factors": _with(factors=4),
    "28 days stale": stale,
}
DELIVERIES: dict[str, Callable[[World], tuple[Day, Interactions]]] = {
    "half lost before the holdout": half_delivered,
    "poisoned day, new accounts, half as much again": new_accounts(0.5),
    "poisoned day, new accounts, a tenth": new_accounts(0.1),
    "poisoned day, known accounts": known_accounts,
}


def judged(given: World, day: Day, data: Interactions) -> tuple[bool, bool, bool]:
    """Whether it passes the product's gate, the comparison alone (without the checks beside it),
    the naive rule.
    """
    metrics = evaluate(day.twin, data.select(temporal_holdout(data))).metrics
    against = {"production": given.yesterday.twin, "anchor": given.anchor.twin}
    compared = compare(day.served, day.twin, against)
    kinds = {"margin": MARGIN, "level": LEVEL}
    usual = usual_overlap(day.served, given.yesterday.served, given.yesterday.twin)
    verdict = judge(
        metrics, compared, overlap(day.served, day.twin), **kinds, before=given.before, usual=usual
    )
    alone = verdict
    if "production_lower" not in verdict.numbers or "unlike those before" in verdict.reason:
        alone = judge(SANE, compared, 1.0, **kinds)
    production = compared["production"]
    naive = bool(
        production.challenger[production.known].mean()
        >= production.reference[production.known].mean()
    )
    return verdict.decision == "passed", alone.decision == "passed", naive


# -- the other design: a fifth of the users, by hash, is in no fit and folded in -------------------


def study(given: World) -> dict[str, float]:
    """Decisions, figures and CPU of both designs on the same day."""
    data = given.data
    out = np.array([zlib.crc32(key.split("~")[0].encode()) % 5 == 0 for key in data.user_ids])
    others = data.select(~out[data.users])
    newest = int(data.rated_at.max()) // SECONDS_A_DAY
    yesterday = train(until(others, newest - 1), seed=given.seed)
    begun = time.process_time()
    today = train(others, parent=yesterday, seed=given.seed)
    own = folded_in(given, today, today, out)
    folding = time.process_time() - begun
    begun = time.process_time()
    train_day(data, parent=given.yesterday, seed=given.seed)
    evaluate(given.today.twin, data.select(given.held))
    twins = time.process_time() - begun
    reference = folded_in(given, yesterday, today, out)
    mixed = given.random.permutation(len(today.item_ids))[: len(today.item_ids) // 10]
    factors = np.array(today.item_vectors)
    factors[mixed] = factors[np.roll(mixed, 1)]
    broken = {
        "healthy": today,
        "half the data lost": train(others.select(given.random.random(len(others)) < 0.5)),
        "a fifth lost": train(others.select(given.random.random(len(others)) < 0.8)),
        "movies scrambled, 10 %": with_arrays(today, item_factors=factors),
        "28 days stale": train(until(others, newest - STALE_DAYS)),
    }
    figures = {"CPU, twins": twins, "CPU, fold-in": folding}
    for case, bundle in broken.items():
        there = interval(
            folded_in(given, bundle, today, out), reference, margin=MARGIN, level=LEVEL
        )
        figures[f"passes, {case}, fold-in"] = float(there.lower > -MARGIN)
        if case == "healthy":
            figures["width, fold-in"] = there.difference - there.lower
    production = compare(
        given.today.served, given.today.twin, {"production": given.yesterday.twin}
    )["production"]
    here = interval(
        production.challenger[production.known],
        production.reference[production.known],
        margin=MARGIN,
        level=LEVEL,
    )
    figures |= {
        "passes, healthy, twins": float(here.lower > -MARGIN),
        "width, twins": here.difference - here.lower,
    }
    # what the users pay whose ratings are in no fit
    figures |= {"ndcg, left out and folded in": float(own.mean())}
    trained = evaluate(given.today.twin, data.select(given.held & out[data.users]))
    figures["ndcg, left out, if trained"] = float(trained.ndcg_at_10.mean())
    return figures


def folded_in(given: World, model: Model, space: Model, out: Mask) -> NDArray[np.float64]:
    """(B,) NDCG@10 of the users left out: folded in from the first four fifths of their ratings,
    judged on the last.
    """
    data = given.data
    items = np.array([key.encode() for key in data.movie_ids])
    rows, there = rows_of(model.item_ids, items)
    _, counts = rows_of(space.item_ids, items)
    vectors, exclude, relevant = [], [], []
    for user in np.flatnonzero(out):
        mine = np.flatnonzero(data.users == user)
        late = given.held[mine]
        first, last = mine[~late], mine[late]
        liked = data.movies[last[data.ratings[last] >= SURELY_LIKED]]
        if len(liked := liked[counts[liked]]):
            known = first[there[data.movies[first]]]
            weights = model.family.weigh(data.ratings[known].astype(np.float64))
            vectors.append(Evidence(model, rows[data.movies[known]], weights, weights > 0).vector())
            exclude.append(data.movies[first])
            relevant.append(np.sort(liked))
    factors = np.where(there[:, None], model.item_vectors[rows], 0).astype(np.float32)
    gone = np.flatnonzero(~there)
    lists, _ = top_items(
        factors, np.array(vectors), [np.concatenate([rated, gone]) for rated in exclude], K
    )
    hits = np.array([np.isin(ranked, liked) for ranked, liked in zip(lists, relevant, strict=True)])
    return ndcg(hits, np.array([len(liked) for liked in relevant]), K)


Promoted = dict[str, tuple[bool, bool, bool]]


def replicate(seed: int) -> tuple[Promoted, dict[str, float]]:
    """Of each case what promotes it; and the figures of the other design, if studied."""
    with threadpool_limits(1):
        given = world(seed)
        verdicts = {case: judged(given, make(given), given.data) for case, make in FITS.items()}
        verdicts |= {case: judged(given, *deliver(given)) for case, deliver in DELIVERIES.items()}
        return verdicts, study(given) if seed < STUDIED else {}


def main() -> bool:
    """The tables; whether every goal is met."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes below, each of which has a core
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        int(os.environ.get("BENCH_JOBS", os.cpu_count() or 1)), context
    ) as pool:
        results = list(pool.map(replicate, range(REPLICATES)))
    return report(results)


def report(results: list[tuple[Promoted, dict[str, float]]]) -> bool:
    count = len(results)
    print(f"Promoted, of {count} independent replicates:\n")
    print("| challenger | the gate | 95 % | its comparison alone | not lower than production |")
    print("|---|---|---|---|---|")
    rates = {}
    for case in results[0][0]:
        gate, alone, naive = np.sum([verdicts[case] for verdicts, _ in results], axis=0) / count
        low, high = wilson(round(gate * count), count)
        rates[case] = gate, naive
        print(f"| {case} | {gate:.1%} | {low:.1%} to {high:.1%} | {alone:.1%} | {naive:.1%} |")
    studied = [figures for _, figures in results if figures]
    print(f"\nA fifth of the users in no fit, beside twins, means of {len(studied)} replicates:\n")
    for name in studied[0]:
        print(f"{name:45} {np.mean([figures[name] for figures in studied]):.4f}")
    print()
    lost = ("half the data lost", "users shuffled, a third", "4 factors", "movies scrambled, 10 %")
    met = [goal(f"gate, {case}", rates[case][0], 0) for case in lost]
    met.append(
        goal("gate, healthy warm chain", rates["healthy, warm chain"][0], 0.98, at_most=False)
    )
    stale, naive = rates["28 days stale"]
    met.append(goal("gate, 28 days stale, half the naive rule's", stale, naive / 2))
    return all(met)
