"""Yesterday's production model on today's ratings, beside what would be served without retraining
every day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_assets.evaluation.judged import Judged, Pairs
from movierec_assets.evaluation.metrics import ndcg
from movierec_assets.evaluation.offline import encode, rows_of
from movierec_assets.promotion.comparison import K, rank
from movierec_assets.promotion.policy import references
from movierec_assets.promotion.version import Version
from movierec_assets.ratings.interactions import Interactions
from movierec_serving.bundle import Evidence, Model
from movierec_serving.bundle.taste import SURELY_LIKED

RESAMPLES = 1000


@dataclass(frozen=True)
class Score:
    """A day's mean NDCG@10 over `users`; None where there was nobody, or no such model yet."""

    day: str
    users: int = 0
    production: float | None = None
    popularity: float | None = None
    month_before: float | None = None
    production_version: int | None = None
    month_before_version: int | None = None


def models_before(day: str, versions: Sequence[Version]) -> tuple[Version | None, Version | None]:
    """By the verdicts, what was in production as the day began, and the newest cold version of an
    earlier month.
    """
    cold = [version for version in versions if version.cold]
    before, month_before = references(day, versions), references(f"{day[:7]}-01", cold)
    return before.get("production"), month_before.get("production")


def next_day(day: str, today: Interactions, production: Model, month_before: Model | None) -> Score:
    """Judge by the second half of what each user rated on the day.

    Relevant is one of these ratings with 4 stars or more, of a movie that production knows and the
    user had not rated. A user whom a model does not know is folded in from the first half, and gets
    popular movies where that holds nothing the model knows; nobody is shown what production has
    seen of them, or the first half.
    """
    first = _in_first_half(today)
    rows, here = rows_of(production.item_ids, encode(today.movie_ids))
    seen = _seen_by(production, today)
    liked = ~first & here[today.movies] & (today.ratings >= SURELY_LIKED)
    width = len(production.item_ids)
    rated = Pairs.ascending(
        np.repeat(np.arange(len(seen)), [len(movies) for movies in seen]),
        np.concatenate(seen),
        width,
    )
    relevant = Pairs.of(today.users[liked], rows[today.movies[liked]], width)
    judged = Judged(relevant.without(rated))
    if not len(judged.users):
        return Score(day)
    begun = [_entries(today, first, user) for user in judged.users.tolist()]
    excluded = [
        np.concatenate([seen[user], rows[today.movies[some]][here[today.movies[some]]]])
        for user, some in zip(judged.users, begun, strict=True)
    ]

    def mean(model: Model, *, personal: bool = True) -> float:
        vectors, answered = _vectors(model, today, judged.users, begun)
        lists = rank(model, production.item_ids, vectors, answered & personal, excluded)
        return float(ndcg(judged.hits(lists), judged.liked, K).mean())

    return Score(
        day=day,
        users=len(judged.users),
        production=mean(production),
        popularity=mean(production, personal=False),
        month_before=None if month_before is None else mean(month_before),
    )


def _in_first_half(today: Interactions) -> NDArray[np.bool_]:
    """(N,) whether a rating is in the first half, by time, of what its user rated."""
    begin, end = today.indptr[:-1], today.indptr[1:]
    first = np.empty(len(today), bool)
    first[today.in_time()] = np.arange(len(today)) < (begin + (end - begin) // 2)[today.users]
    return first


def _entries(today: Interactions, mask: NDArray[np.bool_], user: int) -> NDArray[np.int64]:
    """Where a user's chosen ratings stand in the day's."""
    begin, end = today.indptr[user], today.indptr[user + 1]
    return np.asarray(begin + np.flatnonzero(mask[begin:end]))


def _seen_by(model: Model, today: Interactions) -> list[NDArray[np.integer[Any]]]:
    """What the model has seen of each of the day's users: movie rows; none of one it lacks."""
    rows, known = rows_of(model.user_ids, encode(today.user_ids))
    nothing = np.empty(0, np.int64)
    return [
        model.seen(row) if knows else nothing
        for row, knows in zip(rows.tolist(), known, strict=True)
    ]


def _vectors(
    model: Model,
    today: Interactions,
    people: NDArray[np.int64],
    begun: Sequence[NDArray[np.int64]],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(B, F) vectors of these users, trained or folded in, and for whom there are any."""
    ids, movies = encode(today.user_ids)[people], encode(today.movie_ids)
    places, known = rows_of(model.user_ids, ids)
    vectors = model.user_vectors(places)
    rows, here = rows_of(model.item_ids, movies)
    for nth in np.flatnonzero(~known).tolist():
        some = begun[nth][here[today.movies[begun[nth]]]]
        stars = dict(
            zip(rows[today.movies[some]].tolist(), today.ratings[some].tolist(), strict=True)
        )
        if stars:
            vectors[nth], known[nth] = Evidence.of_ratings(model, stars).vector(), True
    return vectors, known


def lead(scores: Sequence[Score]) -> tuple[float, float, float] | None:
    """(low, middle, high) of production's mean NDCG@10 over the month before's, minus 1, on all the
    days so far.

    A user counts on each day as once; the 95 % interval is of a bootstrap over days, whose users
    are the same ones more than chance would have it. None before there are ten days with both
    models.
    """
    both = [
        score for score in scores if score.month_before is not None and score.production is not None
    ]
    if len(both) < 10:
        return None
    users = np.array([score.users for score in both], float)
    ndcg = np.array([(score.production, score.month_before) for score in both], float)
    sums = users[:, None] * ndcg
    drawn = np.random.default_rng(0).integers(len(both), size=(RESAMPLES, len(both)))
    resampled = sums[drawn].sum(axis=1)
    if not resampled[:, 1].all():
        return None
    low, high = np.quantile(resampled[:, 0] / resampled[:, 1], [0.025, 0.975]) - 1
    total = sums.sum(axis=0)
    return float(low), float(total[0] / total[1] - 1), float(high)
