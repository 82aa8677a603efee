"""What a trainer hands over: the arrays of a model, checked and in the dtypes of a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.families import layout_of
from movierec_serving.bundle.layout import (
    Layout,
    encode_ids,
    popularity_of,
    popularity_order,
)
from movierec_serving.bundle.model import Model
from movierec_serving.bundle.taste import liked, overall_mean, user_means
from movierec_serving.errors import BundleError


@dataclass(frozen=True)
class BundleContent:
    """Ids unique and ascending by UTF-8 bytes, rows in their order; `own` are the family's arrays.

    `seen_*` is a CSR matrix users x items: `seen_items[seen_indptr[u]:seen_indptr[u + 1]]` are the
    ascending item rows of user u, beside them stars and the weight that training gave them.
    `popularity` is the number of ratings of each item.
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

    @property
    def layout(self) -> Layout:
        """The arrays of a bundle of this family."""
        return layout_of(self.family)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by name, as they are written.

        Raises:
            BundleError: which array cannot be one of a bundle, and why.
        """
        given = {**vars(self), **self.own}
        arrays: dict[str, NDArray[Any]] = {}
        for name, (dtype, axes) in self.layout.items():
            if dtype == "|S":
                arrays[name] = encode_ids(given[name], name)
            elif name not in ("popular_items", "likes"):
                arrays[name] = _numbers(np.asarray(given[name]), name, dtype, axes)
        arrays["likes"] = _likes(arrays)
        arrays["popular_items"] = popularity_order(popularity_of(arrays))
        return arrays

    def model(self, parameters: Mapping[str, Any]) -> Model:
        """What opening the written bundle gives, without the files: to be evaluated, not served."""
        return Model.of(self.family, self.arrays(), parameters)


def _likes(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """(I,) how many users liked each item."""
    stars, indptr = arrays["seen_ratings"], arrays["seen_indptr"]
    if not len(stars) == len(arrays["seen_items"]) == indptr[-1]:  # refused before it is written
        return np.zeros(len(arrays["popularity"]), np.float32)
    means = user_means(stars, indptr, overall_mean(stars))
    praised = arrays["seen_items"][liked(stars, np.repeat(means, np.diff(indptr)))]
    return np.bincount(praised, minlength=len(arrays["popularity"])).astype(np.float32)


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
