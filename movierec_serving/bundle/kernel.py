"""The one exact kernel: the best unseen items of a user, for evaluation, publication and requests
alike.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.model import Model

BLOCK = 64  # users scored by one matrix product: the scores of 59k items still fit a cache
AT_ONCE = 1024  # users whose vectors are made together: in some families they are as long as I
FEW = 2048  # of the longest items: where the best ones of many users are first looked for
MANY = 32  # users: for fewer, all items are scored sooner than they are sorted by length
UNIT_ROUNDOFF = 2.0**-24  # of float32


def recommend(
    model: Model,
    user_rows: NDArray[np.integer[Any]] | Sequence[int],
    n: int,
    *,
    left_out: NDArray[np.integer[Any]] | None = None,
    damping: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The best `n` items that each user has not seen; see `top_items`.

    Args:
        left_out: item rows that nobody gets.

    Raises:
        IndexError: a row that is not a user's.
    """
    rows = np.asarray(user_rows, dtype=np.int64)
    if rows.size and (rows.min() < 0 or rows.max() >= len(model.user_ids)):
        raise IndexError(f"user rows go from 0 to {len(model.user_ids) - 1}")
    items = np.empty((len(rows), n), dtype=np.int32)
    scores = np.empty((len(rows), n), dtype=np.float32)
    for start in range(0, len(rows), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        seen = [model.seen(row) for row in rows[part].tolist()]
        if left_out is not None:
            seen = [np.concatenate([own, left_out]) for own in seen]
        items[part], scores[part] = top_items(
            model.item_vectors,
            model.user_vectors(rows[part]),
            seen,
            n,
            lengths=model.lengths,
            damping=damping,
        )
    return items, scores


def top_items(
    item_vectors: NDArray[np.float32],
    vectors: NDArray[np.float32],
    exclude: Sequence[NDArray[np.integer[Any]]],
    n: int,
    *,
    lengths: NDArray[np.float32] | None = None,
    damping: NDArray[np.float32] | None = None,
    block: int = BLOCK,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The `n` items with the highest inner product with each vector, ties by lower row.

    A float32 matrix product selects every item that can be among the best within its rounding
    error, and float64 products of these, pair by pair, decide: neither the block, nor BLAS, nor
    the company a user is in changes the answer.

    No product is larger than that of the two lengths (Cauchy and Schwarz), and movies of few
    ratings have short vectors. So for many users the longest items are scored first, and then no
    more than those that are long enough to be among the best.

    Args:
        item_vectors: (I, F).
        vectors: (B, F), of users known or folded in.
        exclude: for each vector the item rows to leave out.
        lengths: (I,) the norms of the items' vectors, if known.
        damping: (I,) from 0 to 1, what each product is multiplied by.

    Returns:
        (B, n) item rows, -1 where none is left, and (B, n) scores, NaN there.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, is {n}")
    if lengths is None:
        lengths = np.linalg.norm(item_vectors, axis=1)
    users, items, longest = len(vectors), len(item_vectors), float(lengths.max())
    if users < MANY or items < 4 * FEW:
        return _best(item_vectors, vectors, exclude, n, longest, damping, block)
    rows = np.empty((users, n), np.int32)
    scores = np.empty((users, n), np.float32)
    reach = lengths if damping is None else lengths * damping
    order = np.argsort(-reach)
    rising, place = reach[order[::-1]], np.full(items, -1)
    own = np.linalg.norm(vectors.astype(np.float64), axis=1) + np.finfo(np.float64).tiny
    left, count, needed = np.arange(users), FEW, np.zeros(users, np.int64)
    while left.size and 2 * count <= items:
        some, ready = np.sort(order[:count]), left[needed[left] <= count]
        place[some] = np.arange(count)
        seen = [place[exclude[user]] for user in ready.tolist()]
        seen = [places[places >= 0] for places in seen]
        damped = None if damping is None else damping[some]
        found, scores[ready] = _best(
            item_vectors[some], vectors[ready], seen, n, longest, damped, block
        )
        rows[ready] = some[found]
        # Shorter items score less than the last of a list, whatever rounding and underflow did to
        # the lengths. A list without a last one needs all items.
        least = np.nan_to_num(scores[ready, -1] / own[ready], nan=-1) * (1 - 1e-4) - 1e-15
        needed[ready] = items - np.searchsorted(rising, least)
        left = left[needed[left] > count]
        count = int(np.median(needed[left])) if left.size else items
    seen = [exclude[user] for user in left.tolist()]
    rows[left], scores[left] = _best(item_vectors, vectors[left], seen, n, longest, damping, block)
    return rows, scores


def _best(
    item_vectors: NDArray[np.float32],
    vectors: NDArray[np.float32],
    exclude: Sequence[NDArray[np.integer[Any]]],
    n: int,
    longest: float,
    damping: NDArray[np.float32] | None,
    block: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """`top_items` of these items, all of them scored; `longest` is their largest norm."""
    users, (items, length) = len(vectors), item_vectors.shape
    rows = np.full((users, n), -1, dtype=np.int32)
    scores = np.full((users, n), np.nan, dtype=np.float32)
    wanted = min(n, items)
    lowest = np.finfo(np.float32).min  # above the -inf of the excluded
    for start in range(0, users, block):
        part = np.asarray(vectors[start : start + block], dtype=np.float32)
        approximate = part @ item_vectors.T
        if damping is not None:
            approximate *= damping
        for scored, left_out in zip(approximate, exclude[start : start + block], strict=True):
            scored[left_out] = -np.inf
        # |rounding error of an inner product| <= F u |x| |y|, twice: the bound's own score errs,
        # too. Higham (2002), Accuracy and Stability of Numerical Algorithms, section 3.1; +
        # underflow. Damping rounds once more, and makes no error larger.
        lengths = np.linalg.norm(part.astype(np.float64), axis=1)
        margin = (
            2.1 * (length + 1) * (UNIT_ROUNDOFF * lengths * longest + np.finfo(np.float32).tiny)
        )
        thresholds = np.maximum(_bound_of_nth(approximate, wanted) - margin, lowest)
        for offset, (scored, threshold) in enumerate(zip(approximate, thresholds, strict=True)):
            candidates = np.flatnonzero(scored >= threshold)
            exact = (
                item_vectors[candidates].astype(np.float64) * part[offset].astype(np.float64)
            ).sum(1)
            if damping is not None:
                exact *= damping[candidates]
            best = np.argsort(-exact, kind="stable")[:wanted]
            rows[start + offset, : len(best)] = candidates[best]
            scores[start + offset, : len(best)] = exact[best]
    return rows, scores


def _bound_of_nth(scores: NDArray[np.float32], n: int) -> NDArray[np.float64]:
    """For each row a score that at least `n` items reach, and not many more.

    The n-th best of the maxima of disjoint groups is one: n groups have an item that reaches it. A
    maximum over groups is one pass of SIMD, where a partition of all items moves them about.
    """
    items = scores.shape[1]
    groups = 4 * n
    size = items // groups
    if size < 2:
        return np.partition(scores, items - n, axis=1)[:, items - n].astype(np.float64)
    maxima = scores[:, : size * groups].reshape(len(scores), size, groups).max(axis=1)
    return np.partition(maxima, groups - n, axis=1)[:, groups - n].astype(np.float64)


def popular(
    model: Model, n: int, exclude: Sequence[int] | NDArray[np.integer[Any]] = ()
) -> NDArray[np.int32]:
    """At most `n` item rows, the most popular first, without the excluded."""
    rows = np.asarray(exclude, dtype=np.int64)
    if not rows.size:
        return model.popular_items[:n]
    left_out = np.zeros(len(model.popular_items), dtype=np.bool_)
    left_out[rows] = True
    head = model.popular_items[: n + rows.size]
    return head[~left_out[head]][:n]
