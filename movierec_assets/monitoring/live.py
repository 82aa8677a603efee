"""What an endpoint answered, held against the model that it says it serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from movierec_assets.ratings.interactions import Interactions
from movierec_serving.bundle import TOP_N, Bundle, recommend

# (B,) user rows to (B, TOP_N) movie rows, -1 for none
Rank = Callable[[Sequence[int]], NDArray[np.int32]]


def wrong_lists(
    bundle: Bundle,
    answers: Mapping[str, Sequence[str]],
    n: int,
    hidden: Callable[[str], bool],
    rank: Rank | None = None,
) -> dict[str, str]:
    """What is wrong with a list, by user: every list must be what the kernel makes of the bundle's
    factors.

    Args:
        answers: movie ids, best first, by the id of a user that the bundle knows.
        hidden: whether the endpoint has a movie in no list; asked of those that are missing.
        rank: makes the lists that are expected; else they are by score alone.
    """
    rows = {user: row for user in answers if (row := bundle.user_row(user)) is not None}
    known = list(rows.values())
    ranked = rank(known) if rank else recommend(bundle, known, TOP_N)[0]
    wrong = dict.fromkeys(answers.keys() - rows.keys(), "the bundle does not know this user")
    for (user, row), best in zip(rows.items(), ranked.tolist(), strict=True):
        shown = answers[user]
        before = set(bundle.seen(row).tolist())
        if seen := [movie for movie in shown if bundle.item_row(movie) in before]:
            wrong[user] = f"seen before: {', '.join(seen)}"
            continue
        expected: list[str] = []
        for movie in (bundle.item_id(item) for item in best if item >= 0):
            if len(expected) < n and (movie in shown or not hidden(movie)):
                expected.append(movie)
        if expected != list(shown):
            wrong[user] = f"is {', '.join(shown)}; the model says {', '.join(expected)}"
    return wrong


def unseen(bundle: Bundle, ratings: Interactions) -> Interactions:
    """Leave out the ratings of movies that the bundle has seen the same user rate: no list can show
    these.
    """
    rows = [bundle.user_row(user) for user in ratings.user_ids]
    seen = [() if row is None else set(bundle.seen(row).tolist()) for row in rows]
    movies = [bundle.item_row(movie) for movie in ratings.movie_ids]
    pairs = zip(ratings.users.tolist(), ratings.movies.tolist(), strict=True)
    return ratings.select(
        np.array([movies[movie] not in seen[user] for user, movie in pairs], bool)
    )
