"""The arrays of a bundle: their dtypes, their shapes, and what must hold between them.

Those of every family are here, a family's own are in `families/`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.taste import popular_scores
from movierec_serving.errors import BundleError

Arrays = Mapping[str, NDArray[Any]]
Chosen = NDArray[np.bool_] | slice  # rows

# name -> dtype ("|S" of any width), extent of each axis as a key of the manifest's counts
Layout = Mapping[str, tuple[str, tuple[str, ...]]]
ARRAYS: Layout = {
    "user_ids": ("|S", ("users",)),
    "item_ids": ("|S", ("items",)),
    "seen_indptr": ("<i8", ("users + 1",)),
    "seen_items": ("<i4", ("interactions",)),
    "seen_ratings": ("<f4", ("interactions",)),
    "seen_confidence": ("<f4", ("interactions",)),
    "popularity": ("<f4", ("items",)),
    "likes": ("<f4", ("items",)),
    "popular_items": ("<i4", ("items",)),
    "trending_7d": ("<f4", ("items",)),
    "trending_30d": ("<f4", ("items",)),
    "first_rated": ("<i4", ("items",)),
}
RECENT = ("trending_7d", "trending_30d", "first_rated")  # where the times of ratings are known
# Bundles of 0.2.0 have none of these: there, what is rated most is popular, and nothing is recent.
OPTIONAL = ("likes", *RECENT)
POINTERS = "users + 1"  # the one extent that is not counted by itself
MAX_ID_LENGTH = 64  # characters
MAX_VALUE = 1e15  # of a family's arrays; the product of two still fits float32 many times over


def of_users(
    arrays: Arrays, layout: Layout, users: Chosen, interactions: Chosen
) -> dict[str, NDArray[Any]]:
    """Every array that has rows of users, with the rows of some alone.

    Args:
        users: which; `interactions` are these users'.
    """
    chosen = {"users": users, "interactions": interactions}
    own: dict[str, NDArray[Any]] = {}
    for name, (_, axes) in layout.items():
        if axes[0] == POINTERS:
            own[name] = np.concatenate([[0], np.cumsum(np.diff(arrays[name])[users])])
        elif axes[0] in chosen:
            own[name] = arrays[name][chosen[axes[0]]]
    return own


def is_id(text: str) -> bool:
    """Whether a text has the length of an id, and no NUL."""
    return 0 < len(text) <= MAX_ID_LENGTH and "\0" not in text


def encode_ids(ids: Sequence[str], name: str) -> NDArray[np.bytes_]:
    """Ids as UTF-8 in a fixed width, which np.searchsorted can use as it lies on the disk."""
    try:
        encoded = [id_.encode() for id_ in ids]
    except (AttributeError, UnicodeEncodeError) as error:
        raise BundleError(f"{name}: not a string: {error}") from error
    for id_ in ids:
        if not is_id(id_):
            raise BundleError(
                f"{name}: {id_[:80]!r} is not 1 to {MAX_ID_LENGTH} characters without NUL"
            )
    array = np.array(encoded, dtype=np.bytes_) if encoded else np.empty(0, "S1")
    if not _ascending(array):
        raise BundleError(f"{name}: not unique and ascending by UTF-8 bytes")
    return array


def popularity_of(arrays: Arrays) -> NDArray[np.float32]:
    """(I,) how popular each item is: by likes, by the number of ratings where there are none."""
    if arrays.get("likes") is None:
        return arrays["popularity"]
    return popular_scores(arrays["likes"], arrays["popularity"])


def popularity_order(popularity: NDArray[np.float32]) -> NDArray[np.int32]:
    """(I,) item rows, the most popular first, ties by row."""
    return np.argsort(-popularity, kind="stable").astype(np.int32)


def axes_of(layout: Layout) -> set[str]:
    """The names of the extents that a manifest counts."""
    return {axis for _, axes in layout.values() for axis in axes} - {POINTERS}


def counts_of(arrays: Arrays, layout: Layout) -> dict[str, int]:
    """Each extent, as the first array that has it says."""
    counts: dict[str, int] = {}
    for name, (_, axes) in layout.items():
        for axis, extent in zip(axes, arrays[name].shape, strict=True):
            if axis != POINTERS:
                counts.setdefault(axis, extent)
    return counts


def check_shapes(arrays: Arrays, layout: Layout, counts: Mapping[str, int], where: str) -> None:
    """Raises BundleError for an array of another dtype or shape than the counts ask for."""
    extents = {**counts, POINTERS: counts["users"] + 1}
    for name, (dtype, axes) in layout.items():
        array = arrays[name]
        expected = tuple(extents[axis] for axis in axes)
        if array.shape != expected:
            raise BundleError(
                f"{where}: {name} has shape {array.shape}, must have {expected} ({', '.join(axes)})"
            )
        if array.dtype.str != dtype and not (dtype == "|S" and array.dtype.kind == "S"):
            raise BundleError(f"{where}: {name} has dtype {array.dtype.str}, must have {dtype}")
    if min(extents[axis] for axis in axes_of(layout) - {"interactions"}) < 1:
        raise BundleError(f"{where}: empty model: {dict(counts)}")


def check_values(arrays: Arrays, layout: Layout, where: str) -> None:
    """Everything an answer relies on; so that a bad bundle is refused as a whole, never at a
    request.
    """

    def demand(holds: bool | np.bool_, name: str, what: str) -> None:
        if not holds:
            raise BundleError(f"{where}: {name}: {what}")

    for name in layout.keys() - ARRAYS.keys():  # the family's own
        extreme = max(abs(float(arrays[name].min())), abs(float(arrays[name].max())))
        demand(extreme <= MAX_VALUE, name, f"not finite, or beyond ±{MAX_VALUE:g}")
    counts = {"popularity", "likes", "trending_7d", "trending_30d"} & layout.keys()
    for name in ("seen_ratings", "seen_confidence", *counts):
        demand(np.isfinite(arrays[name]).all(), name, "not finite")
    for name in counts:
        demand((arrays[name] >= 0).all(), name, "negative")
    for name in ("user_ids", "item_ids"):
        demand(_ascending(arrays[name]), name, "not unique and ascending by UTF-8 bytes")
        formed = all(map(_well_formed, arrays[name].tolist()))
        demand(formed, name, f"an id is not 1 to {MAX_ID_LENGTH} characters of UTF-8")

    indptr, seen = arrays["seen_indptr"], arrays["seen_items"]
    rising = indptr[0] == 0 and indptr[-1] == len(seen) and (np.diff(indptr) >= 0).all()
    demand(rising, "seen_indptr", f"does not rise from 0 to the {len(seen)} interactions")
    items = len(arrays["popularity"])
    inside = len(seen) == 0 or (seen.min() >= 0 and seen.max() < items)
    demand(inside, "seen_items", f"outside 0..{items - 1}")
    rises = np.diff(seen) > 0
    starts = indptr[1:-1]
    rises[starts[(starts > 0) & (starts < len(seen))] - 1] = True  # a new user begins anew
    demand(rises.all(), "seen_items", "not ascending inside a user")
    ordered = np.array_equal(arrays["popular_items"], popularity_order(popularity_of(arrays)))
    demand(ordered, "popular_items", "not the order of popularity")


def _ascending(ids: NDArray[np.bytes_]) -> bool:
    return bool((ids[:-1] < ids[1:]).all())


def _well_formed(raw: bytes) -> bool:
    try:
        return is_id(raw.decode())
    except UnicodeDecodeError:
        return False
