"""Which items a request gets: from the published lists where they can answer, else from the one
kernel.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.kernel import popular, top_items
from movierec_serving.bundle.publication import PublishedModel
from movierec_serving.errors import UnknownGenreError

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
    """The most rated items, score the number of ratings."""
    exclude = () if part.left_out is None else np.flatnonzero(part.left_out)
    rows = popular(model.bundle, part.end, exclude)[part.offset :]
    return _pairs(rows, model.bundle.popularity[rows])


def similar(model: PublishedModel, item: int, part: Slice) -> Ranked:
    """Other items by the cosine of their vectors; an item of zeros is similar to none."""
    bundle = model.bundle
    lengths = bundle.item_lengths * bundle.item_lengths[item]
    scores = np.full(len(lengths), -np.inf, dtype=np.float32)
    np.divide(
        bundle.item_vectors @ bundle.item_vectors[item], lengths, out=scores, where=lengths > 0
    )
    if part.left_out is not None:
        scores[part.left_out] = -np.inf
    scores[item] = -np.inf
    best = np.argsort(-scores, kind="stable")[part.offset : part.end]
    return _pairs(best[np.isfinite(scores[best])], scores[best])


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
