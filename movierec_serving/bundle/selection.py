"""Which items a request gets: from the published lists where they can answer, else from the one
kernel.

Which movies a request leaves out is `filters.py`'s; lists by likeness are `likeness.py`'s.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.evidence import Evidence
from movierec_serving.bundle.filters import Mask
from movierec_serving.bundle.publication import TOP_N, PublishedModel

Ranked = list[tuple[int, float]]  # movie rows with scores, best first
Seen = Sequence[NDArray[np.integer]]  # of each user the item rows to leave out


class Slice(NamedTuple):
    """The part of a ranking that is wanted: `n` places from `offset` on, without `left_out`."""

    n: int
    offset: int = 0
    left_out: Mask | None = None  # (C,) True for movies to leave out; None for the withdrawn alone

    @property
    def end(self) -> int:
        return self.offset + self.n

    def out_of(self, model: PublishedModel) -> Mask | None:
        """(C,) all that is left out; None for nothing."""
        return model.catalogue.withdrawn if self.left_out is None else self.left_out


def without(model: PublishedModel, part: Slice, rows: NDArray[np.integer]) -> Slice:
    """Make a slice of one that leaves these items out, too."""
    before = part.out_of(model)
    out = np.zeros(len(model.catalogue), np.bool_) if before is None else before.copy()
    out[rows] = True
    return part._replace(left_out=out)


def for_users(model: PublishedModel, rows: Sequence[int], part: Slice) -> list[Ranked]:
    """For each user row this part of the best unseen items.

    First the user's published list, then, by score alone, what it does not have.
    """
    items, scores = model.heads(rows)
    heads = zip(rows, items, scores, strict=True)
    lists = {row: _listed(own, its, part) for row, own, its in heads}
    missing = [row for row, ranked in lists.items() if ranked is None]
    if missing:
        lists.update(zip(missing, _beyond(model, missing, part), strict=True))
    return [lists[row] or [] for row in rows]


def for_new(
    model: PublishedModel, users: Sequence[Evidence], seen: Seen, part: Slice
) -> list[Ranked]:
    """This part of the best items for users whom the model does not know.

    Args:
        users: what each rated; they are folded in together.
        seen: what their lists leave out.
    """
    vectors = np.array([evidence.vector() for evidence in users])
    if not model.ranker.calibrates:
        return for_vectors(model, vectors, seen, part)
    # As for known users: calibrated before anything is filtered, so that pages go on.
    rated = [(evidence.rows, evidence.weights) for evidence in users]
    heads, scores = model.ranker.by_score(vectors, seen, TOP_N)
    heads, scores = model.ranker.calibrated(heads, scores, rated)
    shown = _kept(heads, scores, part.left_out)
    if all(len(head) >= part.end for head in shown):
        return [head[part.offset : part.end] for head in shown]
    return _appended(model, vectors, seen, heads, shown, part)


def for_vectors(
    model: PublishedModel, vectors: NDArray[np.float32], seen: Seen, part: Slice
) -> list[Ranked]:
    """This part of the best items by score, for (B, F) vectors and what each user has seen."""
    if part.left_out is not None:
        everywhere = np.flatnonzero(part.left_out[: len(model.bundle.item_ids)])
        seen = [np.concatenate([own, everywhere]) for own in seen]
    items, scores = model.ranker.by_score(vectors, seen, part.end)
    return [
        _pairs(own[part.offset :], its[part.offset :])
        for own, its in zip(items, scores.astype(np.float64), strict=True)
    ]


def most_popular(model: PublishedModel, part: Slice) -> Ranked:
    """The items that most people liked; the score is `taste.popular_scores`."""
    return _in_order(model.orders.popular, model.bundle.popular_scores, part)


def trending(model: PublishedModel, window: str, part: Slice) -> Ranked | None:
    """Those that most people liked in the data's last days; None where times are not known."""
    scores = model.bundle.trending(window)
    return None if scores is None else _in_order(model.orders.trending(window), scores, part)


def latest(model: PublishedModel, by: str, part: Slice) -> Ranked:
    """The movies that came last, what is popular first among those of a day or year.

    The score is the year, or minus the days from the arrival to the data's last day. A movie whose
    year or arrival is not known is in no list.

    Args:
        by: "year" or "arrival".
    """
    return _in_order(*model.orders.latest(by), part)


def by_score(scores: NDArray[np.floating], out: Mask | None, part: Slice) -> Ranked:
    """This part of the items by (I,) scores, -inf for what no list has."""
    if out is not None:
        scores[out[: len(scores)]] = -np.inf
    best = np.argsort(-scores, kind="stable")[part.offset : part.end]
    return _pairs(best[np.isfinite(scores[best])], scores[best])


def _listed(items: NDArray[np.int32], scores: NDArray[np.float32], part: Slice) -> Ranked | None:
    """From the beginning of a user's list; None if the answer may go on beyond its end."""
    wanted, may_go_on = slice(part.offset, part.end), items[-1] >= 0
    if may_go_on and part.end > len(items):
        return None
    if part.left_out is None:
        return _pairs(items[wanted], scores[wanted])
    kept = np.flatnonzero((items >= 0) & ~part.left_out[items])
    if may_go_on and len(kept) < part.end:
        return None
    kept = kept[wanted]
    return _pairs(items[kept], scores[kept])


def _beyond(model: PublishedModel, rows: Sequence[int], part: Slice) -> list[Ranked]:
    """The users' lists, and what comes after them."""
    heads, scores = model.heads(rows)
    shown = _kept(heads, scores, part.left_out)
    seen = [model.bundle.seen(row) for row in rows]
    return _appended(model, model.bundle.user_vectors(rows), seen, heads, shown, part)


def _appended(
    model: PublishedModel,
    vectors: NDArray[np.float32],
    seen: Seen,
    heads: NDArray[np.int32],
    shown: Sequence[Ranked],
    part: Slice,
) -> list[Ranked]:
    """This part of lists whose beginnings are known, by score where these end.

    Args:
        heads: (B, K) the item rows of the beginnings; -1 for none.
        shown: what of these is not left out.
    """
    seen = [np.concatenate([own, head[head >= 0]]) for own, head in zip(seen, heads, strict=True)]
    tails = for_vectors(model, vectors, seen, Slice(part.end, 0, part.left_out))
    return [(head + tail)[part.offset : part.end] for head, tail in zip(shown, tails, strict=True)]


def _kept(
    lists: NDArray[np.int32], scores: NDArray[np.floating], left_out: Mask | None
) -> list[Ranked]:
    """Take from each list what is not left out."""
    ranked = []
    for items, its_scores in zip(lists, scores.astype(np.float64), strict=True):
        kept = slice(None) if left_out is None else ~left_out[items]
        ranked.append(_pairs(items[kept], its_scores[kept]))
    return ranked


def _in_order(rows: NDArray[np.integer], scores: NDArray[np.number], part: Slice) -> Ranked:
    """This part of rows that are in order, and have no withdrawn ones."""
    rows = _first(rows, part.left_out, part.end)[part.offset :]
    return _pairs(rows, scores[rows])


def _first(rows: NDArray[np.integer], left_out: Mask | None, count: int) -> NDArray[np.integer]:
    """The first rows that are not left out; mostly the beginning of an order has them."""
    if left_out is None:
        return rows[:count]
    looked = 2 * count
    while True:
        kept: NDArray[np.integer] = rows[:looked][~left_out[rows[:looked]]]
        if len(kept) >= count or looked >= len(rows):
            return kept[:count]
        looked *= 4


def _pairs(items: NDArray[np.integer], scores: NDArray[np.number]) -> Ranked:
    return [
        (item, score)
        for item, score in zip(items.tolist(), scores.tolist(), strict=False)
        if item >= 0
    ]
