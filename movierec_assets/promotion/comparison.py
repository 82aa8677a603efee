"""A challenger and its references, ranked on one holdout by the code that serves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_assets.evaluation.metrics import coverage, ndcg
from movierec_assets.evaluation.offline import RELEVANT_STARS, hits_of, rows_of
from movierec_assets.evaluation.splits import sample
from movierec_serving.bundle import Model, top_items

K = 10
OVERLAP_USERS = (
    200  # of the check that the served bundle is its twin's model; more change the mean by < 0.01
)


@dataclass(frozen=True)
class Comparison:
    """Paired results of one reference: (B,) NDCG@10 of the same users, and the share of movies
    shown to them.

    A user that is not `known` to the reference is answered by its popularity, as in production.
    """

    challenger: NDArray[np.float64]
    reference: NDArray[np.float64]
    known: NDArray[np.bool_]
    challenger_coverage: float
    reference_coverage: float
    leaked: int  # held-out ratings that some reference was trained on, and that do not count


def compare(served: Model, twin: Model, references: Mapping[str, Model]) -> dict[str, Comparison]:
    """Rank the challenger's twin and the references' twins on the challenger's holdout.

    The holdout is what `served` was trained on and `twin` was not, of a sample of the twin's users;
    relevant is a rating of 4 stars or more of a movie in the twin's training set. All rank the
    movies of that set without those that the user rated in any of the compared training sets: one
    list of candidates, the same for all. A held-out pair that a reference was trained on (a late,
    repaired or second rating moved the holdout) is no candidate, so it counts for nobody. A
    reference cannot show a movie it does not know.

    Args:
        references: twins by name.
    """
    if not references:
        return {}
    movies, rows = len(twin.item_ids), sample(twin.user_ids)
    sampled = twin.user_ids[rows]
    trained = pairs(twin, sampled, twin.item_ids)[0]
    everything, places = pairs(served, sampled, twin.item_ids)
    held = everything[(everything >= 0) & (served.seen_ratings[places] >= RELEVANT_STARS)]
    held = np.setdiff1d(held, trained, assume_unique=True)
    theirs = [pairs(reference, sampled, twin.item_ids)[0] for reference in references.values()]
    known = _union(theirs)
    relevant = np.setdiff1d(held, known, assume_unique=True)
    users, counts = np.unique(relevant // movies, return_counts=True)
    rated = _union([trained, known])
    bounds = np.searchsorted(rated, [users * movies, (users + 1) * movies]).T
    exclude = [rated[start:end] % movies for start, end in bounds]
    own, _ = top_items(twin.item_vectors, twin.user_vectors(rows[users]), exclude, K)
    own_ndcg = ndcg(hits_of(relevant, users, own, movies), counts, K)
    compared = {}
    for name, reference in references.items():
        places, knows = rows_of(reference.user_ids, sampled[users])
        lists = rank(reference, twin.item_ids, reference.user_vectors(places), knows, exclude)
        theirs_ndcg, leaked = (
            ndcg(hits_of(relevant, users, lists, movies), counts, K),
            len(held) - len(relevant),
        )
        shown = coverage(own, movies, K), coverage(lists, movies, K)
        compared[name] = Comparison(own_ndcg, theirs_ndcg, knows, *shown, leaked)
    return compared


def _union(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Ascending, without -1. A stable sort only merges what is ascending already."""
    merged = np.sort(np.concatenate(parts), kind="stable")
    return merged[np.diff(merged, prepend=-1) > 0]


def rank(
    model: Model,
    movie_ids: NDArray[np.bytes_],
    vectors: NDArray[np.float32],
    known: NDArray[np.bool_],
    exclude: Sequence[NDArray[np.integer[Any]]],
) -> NDArray[np.int32]:
    """(B, 10) places among `movie_ids` that the model would show, of those it knows; -1 where none
    is left.

    Args:
        vectors: (B, F) vectors of the users; one that is not `known` is answered by popularity.
        exclude: for each user, ascending or not, places not to be shown.
    """
    rows, there = rows_of(model.item_ids, movie_ids)
    missing = np.flatnonzero(~there)
    lists = np.empty((len(vectors), K), np.int32)
    for who, factors, users in (
        (known, model.item_vectors, vectors[known]),
        (~known, model.popularity.reshape(-1, 1), np.ones(((~known).sum(), 1), np.float32)),
    ):
        left_out = [
            np.concatenate([exclude[user], missing]) for user in np.flatnonzero(who).tolist()
        ]
        lists[who], _ = top_items(np.asarray(factors)[rows], users, left_out, K)
    return lists


def overlap(served: Model, twin: Model) -> float:
    """Mean share of the top 10 that the served bundle and its twin have in common, over at most 200
    users.

    Both rank the twin's movies without those that the served bundle's user has rated. NaN without a
    common user.
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
    ours, _ = top_items(served.item_vectors[there], served.user_vectors(rows), exclude, K)
    theirs, _ = top_items(twin.item_vectors, twin.user_vectors(users), exclude, K)
    return float(
        np.mean([len(np.intersect1d(a[a >= 0], b)) / K for a, b in zip(ours, theirs, strict=True)])
    )


def usual_overlap(challenger: Model, served: Model, twin: Model) -> float | None:
    """What an earlier served bundle and its twin have in common; None if the challenger has other
    parameters.
    """
    comparable = challenger.parameters == served.parameters
    return overlap(served, twin) if comparable else None


def pairs(
    bundle: Model, user_ids: NDArray[np.bytes_], movie_ids: NDArray[np.bytes_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """These users' training pairs, as place of the user x movies + place of the movie in the given
    ids.

    Args:
        user_ids, movie_ids: ascending; a pair of a user that is not among them is left out, and one
            of a movie that is not is -1.

    Returns:
        (N,) pairs, ascending but for the -1, and (N,) where they stand in the bundle's `seen_...`.
    """
    rows, there = rows_of(bundle.user_ids, user_ids)
    starts = bundle.seen_indptr[rows]
    counts = np.where(there, bundle.seen_indptr[rows + 1] - starts, 0)
    places = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    movies, has = rows_of(movie_ids, bundle.item_ids)
    by_movie = np.where(has, movies, -1)[bundle.seen_items[places]]
    by_user = np.repeat(np.arange(len(user_ids)), counts)
    return np.where(by_movie < 0, -1, by_user * len(movie_ids) + by_movie), places
