"""A model: whom and what it knows, what each user has seen, and the family that ranks for them.

Files and provenance are the bundle's: a `Bundle` is a model with a manifest. What is evaluated,
compared or searched for needs no files, and is a model in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.families import FAMILIES, Family
from movierec_serving.bundle.layout import ARRAYS, Arrays, popularity_of
from movierec_serving.bundle.taste import user_means


@dataclass(frozen=True, eq=False)
class Model:
    """U users, I items and N interactions; rows are dense indices, ids are external strings.

    `seen_items[seen_indptr[u]:seen_indptr[u + 1]]` are the ascending item rows of user u, beside
    them stars and the weight that training gave them. `popular_items` are all item rows, the most
    rated first. `blended` are item vectors to score with in place of the trained ones, as a
    published version has them (`thin`); a user is still folded in by what was trained.
    """

    family: Family = field(repr=False)
    user_ids: NDArray[np.bytes_] = field(repr=False)
    item_ids: NDArray[np.bytes_] = field(repr=False)
    seen_indptr: NDArray[np.int64] = field(repr=False)
    seen_items: NDArray[np.int32] = field(repr=False)
    seen_ratings: NDArray[np.float32] = field(repr=False)
    seen_confidence: NDArray[np.float32] = field(repr=False)
    popularity: NDArray[np.float32] = field(repr=False)
    popular_items: NDArray[np.int32] = field(repr=False)
    likes: NDArray[np.float32] | None = field(repr=False, default=None, kw_only=True)
    trending_7d: NDArray[np.float32] | None = field(repr=False, default=None, kw_only=True)
    trending_30d: NDArray[np.float32] | None = field(repr=False, default=None, kw_only=True)
    first_rated: NDArray[np.int32] | None = field(repr=False, default=None, kw_only=True)
    blended: NDArray[np.float32] | None = field(repr=False, default=None, kw_only=True)

    @classmethod
    def of(cls, family: str, arrays: Arrays, parameters: Mapping[str, Any], **more: Any) -> Self:
        """A model of these arrays, as `layout` has them; `more` are a subclass's fields."""
        common: dict[str, Any] = {name: arrays.get(name) for name in ARRAYS}
        return cls(family=FAMILIES[family](arrays, parameters), **common, **more)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the model was trained with."""
        return self.family.parameters

    @cached_property
    def popular_scores(self) -> NDArray[np.float32]:
        """(I,) what `popular_items` are ordered by."""
        return popularity_of(self.family.arrays)

    def trending(self, window: str) -> NDArray[np.float32] | None:
        """(I,) the popularity within the last days, of `recency.WINDOWS`; None where it is not
        known.
        """
        return self.family.arrays.get(f"trending_{window}")

    @cached_property
    def user_means(self) -> NDArray[np.float64]:
        """(U,) the stars that each user gives, drawn towards everybody's mean."""
        return user_means(self.seen_ratings, self.seen_indptr, self.family.mean_stars)

    @cached_property
    def item_vectors(self) -> NDArray[np.float32]:
        """(I, F), whose inner product with a user's vector is the score."""
        return self.family.item_vectors if self.blended is None else self.blended

    def user_vectors(self, rows: NDArray[np.integer[Any]] | Sequence[int]) -> NDArray[np.float32]:
        """(B, F) of known users."""
        return self.family.user_vectors(np.asarray(rows, np.int64))

    @cached_property
    def lengths(self) -> NDArray[np.float32]:
        """(I,) Euclidean norms of the items' vectors: they bound scores, and their errors."""
        if self.blended is None:
            return self.item_lengths
        return np.asarray(np.linalg.norm(self.blended, axis=1))

    @cached_property
    def item_lengths(self) -> NDArray[np.float32]:
        """(I,) Euclidean norms of the items' vectors as they were trained."""
        lengths: NDArray[np.float32] = np.linalg.norm(self.family.item_vectors, axis=1)
        return lengths

    def user_row(self, user_id: str) -> int | None:
        """A user's row, or None."""
        return row_of(self.user_ids, user_id)

    def item_row(self, item_id: str) -> int | None:
        """An item's row, or None."""
        return row_of(self.item_ids, item_id)

    def item_rows(self, item_ids: Sequence[str]) -> NDArray[np.int64]:
        """The items' rows; -1 for an unknown one."""
        return rows_of(self.item_ids, item_ids)

    def user_id(self, row: int) -> str:
        """The external id of a user's row."""
        return bytes(self.user_ids[row]).decode()

    def item_id(self, row: int) -> str:
        """The external id of an item's row."""
        return bytes(self.item_ids[row]).decode()

    def rated(self, row: int) -> slice:
        """The places of a user's ratings in `seen_items` and what stands beside them."""
        return slice(*self.seen_indptr[row : row + 2].tolist())

    def seen(self, row: int) -> NDArray[np.int32]:
        """Item rows this user has rated, ascending."""
        return self.seen_items[self.rated(row)]


def row_of(ids: NDArray[np.bytes_], id_: str) -> int | None:
    """The place of an id among ascending ones, or None."""
    width = ids.dtype.itemsize
    if len(id_) > width or "\0" in id_:  # the dtype pads with NUL: "7\0" would be "7"
        return None
    try:
        encoded = id_.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return None
    if not 0 < len(encoded) <= width:
        return None
    # A key of the array's own dtype: with any other, searchsorted converts the whole array first.
    row = int(np.searchsorted(ids, np.array(encoded, dtype=ids.dtype)))
    return row if row < len(ids) and ids[row] == encoded else None


def rows_of(ids: NDArray[np.bytes_], wanted: Sequence[str]) -> NDArray[np.int64]:
    """The places of several ids among ascending ones; -1 for an unknown one."""
    if not len(ids):
        return np.full(len(wanted), -1)
    raw = [id_.encode(errors="surrogatepass") for id_ in wanted]
    keys = np.array(raw, dtype=ids.dtype)  # the dtype cuts what is too long, and NULs at the end
    rows = np.minimum(np.searchsorted(ids, keys), len(ids) - 1)
    known = (ids[rows] == keys) & (np.char.str_len(keys) == [*map(len, raw)])
    return np.where(known, rows, -1)
