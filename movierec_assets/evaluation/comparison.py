"""A challenger and its references, ranked on one holdout by the code that serves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movierec_assets.evaluation.metrics import coverage, ndcg
from movierec_assets.evaluation.offline import RELEVANT_STARS, hits_of, rows_of
from movierec_serving.bundle import Bundle, top_items

K = 10
OVERLAP_USERS = 200  # of the check that the served bundle is its twin's model; more change the mean by < 0.01


@dataclass(frozen=True)
class Comparison:
    """Paired results of one reference: (B,) NDCG@10 of the same users, and the share of movies shown to them.

    A user that is not `known` to the reference is answered by its popularity, as in production.
    """

    challenger: NDArray[np.float64]
    reference: NDArray[np.float64]
    known: NDArray[np.bool_]
    challenger_coverage: float
    reference_coverage: float
    leaked: int  # held-out ratings that some reference was trained on, and that do not count


def compare(served: Bundle, twin: Bundle, references: Mapping[str, Bundle]) -> dict[str, Comparison]:
    """Rank the challenger's twin and the references' twins on the challenger's holdout.

    The holdout is what `served` was trained on and `twin` was not; relevant is a rating of 4 stars or more of a
    movie in the twin's training set. All rank the movies of that set without those that the user rated in any of
    the compared training sets: one list of candidates, the same for all. A held-out pair that a reference was
    trained on (a late, repaired or second rating moved the holdout) is no candidate, so it counts for nobody. A
    reference cannot show a movie it does not know.

    Args:
        references: twins by name.
    """
    if not references:
        return {}
    movies = len(twin.item_ids)
    trained = pairs(twin, twin)
    theirs = {name: pairs(reference, twin) for name, reference in references.items()}
    everything, stars = pairs(served, twin), np.asarray(served.seen_ratings)
    held = everything[(everything >= 0) & (stars >= RELEVANT_STARS)]
    held = np.setdiff1d(held, trained, assume_unique=True)
    known = np.unique(np.concatenate([pair[pair >= 0] for pair in theirs.values()]))
    relevant = np.setdiff1d(held, known, assume_unique=True)
    users, counts = np.unique(relevant // movies, return_counts=True)
    rated = np.union1d(trained, known)
    bounds = np.searchsorted(rated, [users * movies, (users + 1) * movies]).T
    exclude = [rated[start:end] % movies for start, end in bounds]
    own, _ = top_items(twin.item_factors, twin.user_factors[users], exclude, K)
    own_ndcg = ndcg(hits_of(relevant, users, own, movies), counts, K)
    compared = {}
    for name, reference in references.items():
        rows, known = rows_of(reference.user_ids, twin.user_ids[users])
        there, has = rows_of(reference.item_ids, twin.item_ids)
        left_out = [np.concatenate([rated_before, np.flatnonzero(~has)]) for rated_before in exclude]
        lists = np.empty_like(own)
        for who, factors, vectors in (
            (known, reference.item_factors, reference.user_factors[rows[known]]),
            (~known, reference.popularity.reshape(-1, 1), np.ones(((~known).sum(), 1), np.float32)),
        ):
            chosen = [left_out[place] for place in np.flatnonzero(who)]
            lists[who], _ = top_items(np.asarray(factors)[there], vectors, chosen, K)
        compared[name] = Comparison(
            own_ndcg,
            ndcg(hits_of(relevant, users, lists, movies), counts, K),
            known,
            coverage(own, movies, K),
            coverage(lists, movies, K),
            len(held) - len(relevant),
        )
    return compared


def overlap(served: Bundle, twin: Bundle) -> float:
    """Mean share of the top 10 that the served bundle and its twin have in common, over at most 200 users.

    Both rank the twin's movies without those that the served bundle's user has rated. NaN without a common user.
    """
    step = max(len(twin.user_ids) // OVERLAP_USERS, 1)
    users = np.arange(0, len(twin.user_ids), step)
    rows, knows = rows_of(served.user_ids, twin.user_ids[users])
    users, rows = users[knows], rows[knows]
    there, has = rows_of(served.item_ids, twin.item_ids)
    if not len(users) or not has.all():
        return float("nan")
    places, rated = rows_of(twin.item_ids, served.item_ids)
    exclude = [places[served.seen(row)][rated[served.seen(row)]] for row in rows.tolist()]
    ours, _ = top_items(np.asarray(served.item_factors)[there], served.user_factors[rows], exclude, K)
    theirs, _ = top_items(twin.item_factors, twin.user_factors[users], exclude, K)
    return float(np.mean([len(np.intersect1d(a[a >= 0], b)) / K for a, b in zip(ours, theirs, strict=True)]))


def pairs(bundle: Bundle, space: Bundle) -> NDArray[np.int64]:
    """(N,) user row x movies + movie row of `bundle`'s training pairs, in the rows of `space`; -1 if not there."""
    users, user_there = rows_of(space.user_ids, bundle.user_ids)
    movies, movie_there = rows_of(space.item_ids, bundle.item_ids)
    by_user = np.repeat(np.where(user_there, users, -1), np.diff(bundle.seen_indptr))
    by_movie = np.where(movie_there, movies, -1)[bundle.seen_items]
    return np.where((by_user < 0) | (by_movie < 0), -1, by_user * len(space.item_ids) + by_movie)
