"""What newcomers are asked first: how good lists are after 5 and 10 answers, by which movies are
asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from bench.goals import goal
from bench.models.chain import movielens, train
from movierec_assets.ratings.interactions import Interactions, interactions_of
from movierec_serving.bundle import Evidence, Model
from movierec_serving.bundle.kernel import top_items
from movierec_serving.bundle.questions import Questions
from movierec_serving.bundle.taste import liked, own_mean

FOLDS = 5  # of users; each is held out by one model
ANSWERS = (5, 10)
Answered = dict[int, float]  # stars by item row
# The next movie to ask about, given what was answered and what was asked.
Ask = Callable[[Answered, set[int]], int | None]


def in_order(rows: NDArray[np.integer]) -> Ask:
    return lambda answered, asked: next((row for row in rows.tolist() if row not in asked), None)


def entropy(model: Model) -> NDArray[np.float64]:
    """(I,) log(ratings) x entropy of their stars. Rashid et al. (2002), "Getting to Know You:
    Learning New User Preferences in Recommender Systems".
    """
    halves = np.rint(model.seen_ratings * 2).astype(np.int64)
    counts = np.zeros((len(model.item_ids), 11))
    np.add.at(counts, (model.seen_items, halves), 1)
    shares = counts / np.maximum(counts.sum(axis=1), 1)[:, None]
    terms = shares * np.log(np.where(shares > 0, shares, 1))
    return np.asarray(-terms.sum(axis=1) * np.log1p(counts.sum(axis=1)))


def ways(model: Model, seed: int) -> dict[str, Ask]:
    """What is compared: ours, the most popular, log(popularity) x entropy, random."""
    ours = Questions(model)

    @lru_cache(maxsize=1)  # what was not seen changes nothing
    def order(answered: tuple[int, ...]) -> NDArray[np.int64]:
        return ours.candidates[np.argsort(-ours.worth(ours.after(answered)), kind="stable")]

    def telling(answered: Answered, asked: set[int]) -> int | None:
        return in_order(order(tuple(answered)))(answered, asked)

    random = np.random.default_rng(seed).permutation(len(model.item_ids))
    return {
        "the most telling (ours)": telling,
        "most popular": in_order(np.argsort(-model.popularity, kind="stable")),
        "log(popularity) x entropy": in_order(np.argsort(-entropy(model), kind="stable")),
        "random": in_order(random),
    }


def interview(ask: Ask, known: Answered) -> Iterator[tuple[Answered, int]]:
    """The answers at each of ANSWERS, and how many movies were asked about; whoever runs out of
    movies they know stays at what they answered.
    """
    answered: Answered = {}
    asked: set[int] = set()
    for wanted in ANSWERS:
        while len(answered) < min(wanted, len(known)):
            row = ask(answered, asked)
            if row is None:
                break
            asked.add(row)
            if row in known:
                answered[row] = known[row]
        yield answered, len(asked)


def ndcg_at_10(model: Model, answered: Answered, relevant: set[int]) -> float:
    """Of the list of somebody who answered so."""
    vector = Evidence.of_ratings(model, answered).vector()
    rows = np.array(list(answered))
    items, _ = top_items(model.item_vectors, vector[None], [rows], 10)
    gains = 1 / np.log2(np.arange(2, 12))
    hits = np.isin(items[0], list(relevant))
    return float(gains[hits].sum() / gains[: len(relevant)].sum())


def held_out_users(
    data: Interactions, model: Model, fold: int
) -> Iterator[tuple[Answered, set[int]]]:
    """Of each user of a fold, by item rows of the model: a random half of the ratings, which may be
    answered, and what they liked in the other half.
    """
    random = np.random.default_rng(fold)
    rows = model.item_rows(data.movie_ids)
    for user in np.flatnonzero(_folds(data) == fold).tolist():
        own = slice(data.indptr[user], data.indptr[user + 1])
        movies, stars = rows[data.movies[own]], data.ratings[own]
        praised = liked(stars, own_mean(stars, model.family.mean_stars))
        first = random.permutation(len(stars)) < len(stars) // 2
        there = movies >= 0
        known = dict(
            zip(movies[first & there].tolist(), stars[first & there].tolist(), strict=True)
        )
        relevant = set(movies[~first & praised & there].tolist())
        if len(known) >= max(ANSWERS) and relevant:
            yield known, relevant


def _folds(data: Interactions) -> NDArray[np.int64]:
    return np.array([crc32(key.encode()) % FOLDS for key in data.user_ids])


def measure(data: Interactions) -> dict[str, NDArray[np.float64]]:
    """By way (users, len(ANSWERS), 2): NDCG@10, and how many movies were asked about."""
    measured: dict[str, list[list[tuple[float, int]]]] = {}
    for fold in range(FOLDS):
        model = train(data.select(_folds(data)[data.users] != fold))
        asks = ways(model, fold)
        for known, relevant in held_out_users(data, model, fold):
            for name, ask in asks.items():
                steps = interview(ask, known)
                scores = [(ndcg_at_10(model, got, relevant), asked) for got, asked in steps]
                measured.setdefault(name, []).append(scores)
    return {name: np.array(scores) for name, scores in measured.items()}


def main() -> None:
    try:
        data = interactions_of(movielens())
    except FileNotFoundError as error:
        print(error)
        return
    measured = measure(data)
    ours, *others = measured
    users = len(measured[ours])
    print(f"MovieLens 100k, {users} users whom the model has not seen:\n")
    print("| asked about | NDCG@10 after 5 | after 10 | movies asked for 5 | for 10 |")
    print("|---|---|---|---|---|")
    for name, scores in measured.items():
        (five, for_five), (ten, for_ten) = scores.mean(axis=0)
        print(f"| {name} | {five:.4f} | {ten:.4f} | {for_five:.0f} | {for_ten:.0f} |")
    print()
    for place, answers in enumerate(ANSWERS):
        for other in others:
            difference = measured[ours][:, place, 0] - measured[other][:, place, 0]
            lower = difference.mean() - 1.645 * difference.std() / users**0.5
            name = f"after {answers} answers, NDCG@10 over {other}, lower 95 % bound"
            goal(name, lower, 0.0, at_most=False, digits=4)
