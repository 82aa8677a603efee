"""What a trainer hands over: the arrays of a model, checked and in the dtypes of a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.families import layout_of
from movierec_serving.bundle.layout import (
    RECENT,
    Layout,
    encode_ids,
    popularity_of,
    popularity_order,
)
from movierec_serving.bundle.model import Model
from movierec_serving.bundle.recency import WINDOWS, day_number, first_days, recent_scores
from movierec_serving.bundle.taste import least_liked, overall_mean, user_means
from movierec_serving.errors import BundleError


@dataclass(frozen=True)
class BundleContent:
    """Ids unique and ascending by UTF-8 bytes, rows in their order; `own` are the family's arrays.

    `seen_*` is a CSR matrix users x items: `seen_items[seen_indptr[u]:seen_indptr[u + 1]]` are the
    ascending item rows of user u, beside them stars and the weight that training gave them.
    `popularity` is the number of ratings of each item. `rated_at` are the seconds since 1970 of
    each rating, and `until` the last day of the data; without times there is nothing recent.
    """

    family: str
    own: Mapping[str, NDArray[Any]] = field(repr=False)
    user_ids: Sequence[str] = field(repr=False)
    item_ids: Sequence[str] = field(repr=False)
    seen_indptr: NDArray[Any] = field(repr=False)
    seen_items: NDArray[Any] = field(repr=False)
    seen_ratings: NDArray[Any] = field(repr=False)
    seen_confidence: NDArray[Any] = field(repr=False)
    popularity: NDArray[Any] = field(repr=False)
    rated_at: NDArray[Any] | None = field(repr=False, default=None)
    until: str = "1970-01-01"

    @property
    def layout(self) -> Layout:
        """The arrays of a bundle of this family."""
        layout = layout_of(self.family)
        lacking = RECENT if self.rated_at is None else ()
        return {name: kind for name, kind in layout.items() if name not in lacking}

    @cached_property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """All arrays by name, as they are written.

        Raises:
            BundleError: which array cannot be one of a bundle, and why.
        """
        given = {**vars(self), **self.own}
        arrays: dict[str, NDArray[Any]] = {}
        for name, (dtype, axes) in self.layout.items():
            if dtype == "|S":
                arrays[name] = encode_ids(given[name], name)
            elif name not in ("popular_items", "likes", *RECENT):
                arrays[name] = _numbers(np.asarray(given[name]), name, dtype, axes)
        praised = _praised(arrays)
        rated, count = arrays["seen_items"], len(arrays["popularity"])
        arrays["likes"] = np.bincount(rated[praised], minlength=count).astype(np.float32)
        if self.rated_at is not None:
            until = day_number(self.until)
            for name, days in WINDOWS.items():
                recent = recent_scores(rated, praised, self.rated_at, until, days, count)
                arrays[f"trending_{name}"] = recent
            arrays["first_rated"] = first_days(rated, self.rated_at, count)
        arrays["popular_items"] = popularity_order(popularity_of(arrays))
        return arrays

    def model(self, parameters: Mapping[str, Any]) -> Model:
        """What opening the written bundle gives, without the files: to be evaluated, not served."""
        return Model.of(self.family, self.arrays, parameters)


def _praised(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """(N,) the ratings that praise."""
    stars, indptr = arrays["seen_ratings"], arrays["seen_indptr"]
    if not len(stars) == len(arrays["seen_items"]) == indptr[-1]:  # refused before it is written
        return np.zeros(len(arrays["seen_items"]), np.bool_)
    means = user_means(stars, indptr, overall_mean(stars))
    return np.asarray(stars >= np.repeat(least_liked(means), np.diff(indptr)))


def _numbers(given: NDArray[Any], name: str, dtype: str, axes: tuple[str, ...]) -> NDArray[Any]:
    if given.ndim != len(axes):
        raise BundleError(
            f"{name}: has {given.ndim} axes, must have {len(axes)} ({', '.join(axes)})"
        )
    if given.dtype.kind not in "iuf":
        raise BundleError(f"{name}: has dtype {given.dtype}, must be numbers")
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused before writing
        array = given.astype(dtype, copy=False)
    if dtype.startswith("<i") and not np.array_equal(array, given):
        raise BundleError(f"{name}: has values that {dtype} cannot hold")
    return array
