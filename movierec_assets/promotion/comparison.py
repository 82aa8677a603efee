"""A challenger and its references, ranked on one holdout by the code that serves them.

What the figures mean for production is the gate's business.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_assets.evaluation.judged import Judged, Pairs
from movierec_assets.evaluation.metrics import coverage, ndcg
from movierec_assets.evaluation.offline import rows_of
from movierec_assets.evaluation.splits import sample
from movierec_assets.training.trainers import TRAINERS
from movierec_serving.bundle import Model, top_items, user_means
from movierec_serving.bundle import liked as praising

K = 10
# Of the check that the served bundle is its twin's model; more users change the mean by < 0.01.
OVERLAP_USERS = 200
Excluded = Sequence[NDArray[np.integer[Any]]]  # for each user, places not to be shown


@dataclass(frozen=True)
class Comparison:
    """What a challenger and one reference reach for the same B users.

    Attributes:
        challenger, reference: (B,) NDCG@10 of each user.
        known: (B,) whether the reference was trained on the user. To others it shows popular
            movies, as it would in production.
        challenger_coverage, reference_coverage: the share of all movies that its lists show.
        leaked: held-out ratings that some reference was trained on, and that do not count.
    """

    challenger: NDArray[np.float64]
    reference: NDArray[np.float64]
    known: NDArray[np.bool_]
    challenger_coverage: float
    reference_coverage: float
    leaked: int


@dataclass(frozen=True)
class Holdout:
    """What a challenger is judged on: its users, what they liked, and the twin's own lists.

    Attributes:
        user_ids: (B,) of the judged users.
        excluded: for each, the places of the twin's movies that no list shows.
        own: (B, 10) the twin's lists.
        leaked: held-out ratings that some reference was trained on, and that do not count.
    """

    judged: Judged
    user_ids: NDArray[np.bytes_]
    excluded: Excluded
    own: NDArray[np.int32]
    leaked: int

    @classmethod
    def of(cls, served: Model, twin: Model, references: Sequence[Model]) -> Holdout:
        """Take what `served` was trained on and `twin` was not; see `compare`."""
        movies, rows = twin.item_ids, sample(twin.user_ids)
        users = twin.user_ids[rows]
        trained = training_pairs(twin, users, movies)
        held = training_pairs(served, users, movies, liked=True).without(trained)
        known = Pairs.union(
            [trained, *(training_pairs(reference, users, movies) for reference in references)]
        )
        judged = Judged(held.without(known))
        excluded = known.by_user(judged.users)
        vectors = twin.user_vectors(rows[judged.users])
        own, _ = top_items(twin.item_vectors, vectors, excluded, K)
        leaked = len(held) - len(judged.relevant)
        return cls(judged, users[judged.users], excluded, own, leaked)


def compare(served: Model, twin: Model, references: Mapping[str, Model]) -> dict[str, Comparison]:
    """Rank the challenger's twin and the references' twins on the challenger's holdout.

    The holdout is what `served` was trained on and `twin` was not, of a sample of the twin's users.
    A movie is relevant if it is in the twin's training set and the user liked it.

    All rank the same candidates: the movies of the twin's training set, without those that the user
    rated in any of the compared training sets. So a held-out pair that a reference was trained on
    counts for nobody; a late, repaired or second rating makes such pairs. A reference shows no
    movie that it does not know.

    Args:
        references: twins by name.
    """
    if not references:
        return {}
    holdout = Holdout.of(served, twin, list(references.values()))
    own_ndcg, own_coverage = _scores(holdout.judged, holdout.own)

    def against(reference: Model) -> Comparison:
        places, knows = rows_of(reference.user_ids, holdout.user_ids)
        vectors = reference.user_vectors(places)
        lists = rank(reference, twin.item_ids, vectors, knows, holdout.excluded)
        other_ndcg, other_coverage = _scores(holdout.judged, lists)
        return Comparison(
            challenger=own_ndcg,
            reference=other_ndcg,
            known=knows,
            challenger_coverage=own_coverage,
            reference_coverage=other_coverage,
            leaked=holdout.leaked,
        )

    return {name: against(reference) for name, reference in references.items()}


def against_popularity(
    served: Model, twin: Model
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(B,) NDCG@10 of the twin and of popular movies, of the same users of its holdout."""
    holdout = Holdout.of(served, twin, [])
    nobody = np.zeros(len(holdout.user_ids), np.bool_)
    vectors = np.empty((len(nobody), twin.item_vectors.shape[1]), np.float32)
    popular = rank(twin, twin.item_ids, vectors, nobody, holdout.excluded)
    return _scores(holdout.judged, holdout.own)[0], _scores(holdout.judged, popular)[0]


def kept_share(challenger: Model, production: Model) -> float:
    """Share of production's training pairs that the challenger was trained on as well."""
    ids = challenger.user_ids, challenger.item_ids
    before, now = training_pairs(production, *ids), training_pairs(challenger, *ids)
    return (len(before) - len(before.without(now))) / max(len(production.seen_items), 1)


def _scores(judged: Judged, lists: NDArray[np.int32]) -> tuple[NDArray[np.float64], float]:
    """(B,) NDCG@10 of lists, and the share of all movies that is in one of them."""
    return ndcg(judged.hits(lists), judged.liked, K), coverage(lists, judged.relevant.movies, K)


def training_pairs(
    model: Model,
    user_ids: NDArray[np.bytes_],
    movie_ids: NDArray[np.bytes_],
    *,
    liked: bool = False,
) -> Pairs:
    """What these users rated in a model's training, of these movies; only what they liked if asked.

    Args:
        user_ids, movie_ids: ascending; the pairs are of places among them.
    """
    rows, there = rows_of(model.user_ids, user_ids)
    starts = model.seen_indptr[rows]
    counts = np.where(there, model.seen_indptr[rows + 1] - starts, 0)
    # Where the users' ratings stand in the bundle, one user after the other.
    ends = np.concatenate([[0], np.cumsum(counts)])
    entries = np.repeat(starts - ends[:-1], counts) + np.arange(ends[-1])
    places, has = rows_of(movie_ids, model.item_ids)
    rated = model.seen_items[entries]
    movies_rated = has[rated]
    if liked:
        stars = model.seen_ratings[entries]
        means = user_means(stars, ends, model.family.mean_stars)
        movies_rated &= praising(stars, np.repeat(means, counts))
    users = np.repeat(np.arange(len(user_ids)), counts)
    return Pairs.ascending(users[movies_rated], places[rated[movies_rated]], len(movie_ids))


def rank(
    model: Model,
    movie_ids: NDArray[np.bytes_],
    vectors: NDArray[np.float32],
    known: NDArray[np.bool_],
    excluded: Excluded,
) -> NDArray[np.int32]:
    """(B, 10) places among `movie_ids` that the model would show, of those it knows; -1 where none
    is left.

    Args:
        vectors: (B, F) vectors of the users; one that is not `known` is answered by popularity.
    """
    rows, there = rows_of(model.item_ids, movie_ids)
    missing = np.flatnonzero(~there)
    lists = np.empty((len(vectors), K), np.int32)

    def show(whom: NDArray[np.bool_], users: NDArray[np.float32], movies: NDArray[Any]) -> None:
        left_out = [
            np.concatenate([excluded[user], missing]) for user in np.flatnonzero(whom).tolist()
        ]
        lists[whom], _ = top_items(np.asarray(movies)[rows], users, left_out, K)

    show(known, vectors[known], model.item_vectors)
    anybody = np.ones(((~known).sum(), 1), np.float32)
    show(~known, anybody, model.popular_scores.reshape(-1, 1))
    return lists


def overlap(served: Model, twin: Model) -> float:
    """Mean share of the top 10 that the served bundle and its twin have in common, over at most 200
    users.

    Both rank the twin's movies without those that the served bundle's user has rated. NaN without a
    common user, or where the served bundle lacks a movie.
    """
    users = np.arange(0, len(twin.user_ids), max(len(twin.user_ids) // OVERLAP_USERS, 1))
    rows, knows = rows_of(served.user_ids, twin.user_ids[users])
    users, rows = users[knows], rows[knows]
    movies, has = rows_of(served.item_ids, twin.item_ids)
    if not len(users) or not has.all():
        return float("nan")
    places, in_twin = rows_of(twin.item_ids, served.item_ids)
    seen = [served.seen(row) for row in rows.tolist()]
    excluded = [places[rated][in_twin[rated]] for rated in seen]
    ours, _ = top_items(served.item_vectors[movies], served.user_vectors(rows), excluded, K)
    theirs, _ = top_items(twin.item_vectors, twin.user_vectors(users), excluded, K)
    pairs = zip(ours, theirs, strict=True)
    return float(np.mean([len(np.intersect1d(own[own >= 0], other)) / K for own, other in pairs]))


def same_recipe(model: Model, other: Model) -> bool:
    """Whether two models are of one family and were trained with the same parameters.

    What follows from the number of ratings grows daily: it may be the same multiple of the rule. A
    tenth is allowed, because a pair that was rated twice counts twice in the rule alone.
    """
    if model.family.name != other.family.name or set(model.parameters) != set(other.parameters):
        return False
    by_size = TRAINERS[model.family.name].by_size
    for name, value in model.parameters.items():
        theirs = other.parameters[name]
        if value == theirs:
            continue
        rule = by_size.get(name)
        if rule is None:
            return False
        multiples = value / rule(len(model.seen_items)), theirs / rule(len(other.seen_items))
        if not math.isclose(*multiples, rel_tol=0.1):
            return False
    return True


def usual_overlap(challenger: Model, served: Model, twin: Model) -> float | None:
    """What an earlier served bundle and its twin have in common; None if the challenger has other
    parameters.
    """
    return overlap(served, twin) if same_recipe(challenger, served) else None
