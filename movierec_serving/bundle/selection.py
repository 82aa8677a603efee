"""Which items a request gets: from the published lists where they can answer, else from the one
kernel.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.bundle import Bundle
from movierec_serving.bundle.kernel import popular, top_items
from movierec_serving.bundle.publication import PublishedModel
from movierec_serving.errors import UnknownGenreError

SIMILAR_PRIOR = 2  # likes at which an item counts half as similar as it looks
Ranked = list[tuple[int, float]]  # item rows with scores, best first
Mask = NDArray[np.bool_]


class Slice(NamedTuple):
    """The part of a ranking that is wanted: `n` places from `offset` on, without `left_out`."""

    n: int
    offset: int = 0
    left_out: Mask | None = None  # (I,) True for items that no list may have; None for none

    @property
    def end(self) -> int:
        return self.offset + self.n


def left_out(
    model: PublishedModel,
    genres: Sequence[str],
    exclude: Sequence[str],
    blocked: NDArray[np.integer],
) -> Mask | None:
    """(I,) True for items without any of `genres`, excluded by id (unknown ids are ignored), or
    blocked.

    None where nothing is left out, which is a question less for every item of a plain request.

    Raises:
        UnknownGenreError: one of `genres`.
    """
    if not genres and not exclude and not len(blocked):
        return None
    out = np.zeros(len(model.bundle.item_ids), dtype=np.bool_)
    if genres:
        columns = [_genre(model, name) for name in genres]
        np.logical_not(model.item_genres[:, columns].any(axis=1), out=out)
    out[blocked] = True
    rows = model.bundle.item_rows(exclude)
    out[rows[rows >= 0]] = True
    return out


def without(model: PublishedModel, part: Slice, rows: NDArray[np.integer]) -> Slice:
    """The same part of a ranking that leaves these items out, too."""
    out = np.zeros(len(model.bundle.item_ids), dtype=np.bool_)
    if part.left_out is not None:
        out |= part.left_out
    out[rows] = True
    return part._replace(left_out=out)


def for_users(model: PublishedModel, rows: Sequence[int], part: Slice) -> list[Ranked]:
    """For each user row this part of the best unseen items."""
    lists = {row: _listed(model, row, part) for row in rows}
    missing = [row for row, ranked in lists.items() if ranked is None]
    if missing:
        bundle = model.bundle
        seen = [bundle.seen(row) for row in missing]
        computed = for_vectors(model, bundle.user_vectors(missing), seen, part)
        lists.update(zip(missing, computed, strict=True))
    return [lists[row] or [] for row in rows]


def for_vectors(
    model: PublishedModel,
    vectors: NDArray[np.float32],
    seen: Sequence[NDArray[np.integer]],
    part: Slice,
) -> list[Ranked]:
    """The same for (B, F) vectors and what each of these users has seen."""
    bundle = model.bundle
    if part.left_out is not None:
        everywhere = np.flatnonzero(part.left_out)
        seen = [np.concatenate([own, everywhere]) for own in seen]
    longest = bundle.longest_item
    items, scores = top_items(bundle.item_vectors, vectors, seen, part.end, longest=longest)
    return [
        _pairs(own[part.offset :], its[part.offset :])
        for own, its in zip(items, scores.astype(np.float64), strict=True)
    ]


def most_popular(model: PublishedModel, part: Slice) -> Ranked:
    """The items that most people liked; the score is `taste.popular_scores`."""
    exclude = () if part.left_out is None else np.flatnonzero(part.left_out)
    rows = popular(model.bundle, part.end, exclude)[part.offset :]
    return _pairs(rows, model.bundle.popular_scores[rows])


def similar(model: PublishedModel, item: int, part: Slice) -> Ranked:
    """Other items by (1 + cosine of the vectors) / 2 x L / (L + 2), L the people who liked one.

    A cosine knows no support: an item that one person rated once would stand before all others. An
    item of zeros, or that nobody liked, is similar to none.
    """
    bundle = model.bundle
    scores = (1 + _cosines(bundle, item)) / 2 * _support(bundle)
    scores[(scores <= 0) | (bundle.item_lengths == 0)] = -np.inf
    if part.left_out is not None:
        scores[part.left_out] = -np.inf
    scores[item] = -np.inf
    best = np.argsort(-scores, kind="stable")[part.offset : part.end]
    return _pairs(best[np.isfinite(scores[best])], scores[best])


def away_from(
    model: PublishedModel, rated: NDArray[np.integer], disliked: NDArray[np.integer], part: Slice
) -> Ranked:
    """Popular items that are unlike what somebody disliked, who liked nothing, without what was
    rated.

    The score is the popular one times (1 - the largest cosine with a disliked item, if above 0)^2.
    """
    bundle = model.bundle
    nearest = np.zeros(len(bundle.item_ids), dtype=np.float32)
    for item in disliked.tolist():
        np.maximum(nearest, _cosines(bundle, item), out=nearest)
    scores = bundle.popular_scores * (1 - np.minimum(nearest, 1.0)) ** 2
    scores[rated] = -np.inf
    if part.left_out is not None:
        scores[part.left_out] = -np.inf
    best = np.argsort(-scores, kind="stable")[part.offset : part.end]
    return _pairs(best[np.isfinite(scores[best])], scores[best])


def _cosines(bundle: Bundle, item: int) -> NDArray[np.float32]:
    """(I,) of each item's vector with one's; -1 where one of both is zero."""
    lengths = bundle.item_lengths * bundle.item_lengths[item]
    cosines = np.full(len(lengths), -1.0, dtype=np.float32)
    products = bundle.item_vectors @ bundle.item_vectors[item]
    np.divide(products, lengths, out=cosines, where=lengths > 0)
    return cosines


def _support(bundle: Bundle) -> NDArray[np.float32]:
    """(I,) L / (L + 2): how far each item's likes can be trusted, from 0 to 1."""
    likes = bundle.popularity if bundle.likes is None else bundle.likes
    return np.asarray(likes / (likes + SIMILAR_PRIOR), np.float32)


def _listed(model: PublishedModel, row: int, part: Slice) -> Ranked | None:
    """From the user's list; None if the answer may go on beyond its end."""
    items, scores = model.top_items[row], model.top_scores[row]
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


def _pairs(items: NDArray[np.integer], scores: NDArray[np.floating]) -> Ranked:
    return [
        (item, score)
        for item, score in zip(items.tolist(), scores.tolist(), strict=False)
        if item >= 0
    ]


def _genre(model: PublishedModel, name: str) -> int:
    try:
        return model.genre_names.index(name)
    except ValueError:
        raise UnknownGenreError(
            f"no genre {name!r}; there are {', '.join(model.genre_names)}"
        ) from None
