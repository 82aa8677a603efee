"""A bundle opened for reading: memory-mapped arrays, and ids found where they lie."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.files import BundleError, open_array, read_text
from movierec_serving.bundle.layout import ARRAYS, check_shapes, check_values
from movierec_serving.bundle.manifest import MANIFEST, Manifest


@dataclass(frozen=True)
class Bundle:
    """One trained model of U users, I items, F factors and N interactions.

    Rows are dense indices of this bundle, ids are external strings.
    """

    path: Path
    manifest: Manifest
    user_factors: NDArray[np.float32] = field(repr=False)
    item_factors: NDArray[np.float32] = field(repr=False)
    user_ids: NDArray[np.bytes_] = field(repr=False)
    item_ids: NDArray[np.bytes_] = field(repr=False)
    seen_indptr: NDArray[np.int64] = field(repr=False)
    seen_items: NDArray[np.int32] = field(repr=False)
    seen_ratings: NDArray[np.float32] = field(repr=False)
    seen_confidence: NDArray[np.float32] = field(repr=False)
    popularity: NDArray[np.float32] = field(repr=False)
    popular_items: NDArray[np.int32] = field(repr=False)

    @classmethod
    def open(cls, path: Path | str, *, verify: bool = False) -> "Bundle":
        """Map the files; a millisecond at any size, unless `verify` reads them all.

        Raises:
            BundleError: which file, and what is wrong with it.
        """
        path = Path(path)
        manifest = Manifest.from_json(read_text(path / MANIFEST), str(path / MANIFEST))
        arrays: dict[str, NDArray[Any]] = {
            name: open_array(path, f"{name}.npy", manifest.files[f"{name}.npy"], verify=verify)
            for name in ARRAYS
        }
        check_shapes(arrays, manifest.counts, str(path))
        if verify:
            check_values(arrays, str(path))
        return cls(path=path, manifest=manifest, **arrays)

    @cached_property
    def longest_item(self) -> float:
        """The largest Euclidean norm among the items: it bounds the rounding error of a score."""
        return float(self.item_lengths.max())

    @cached_property
    def item_lengths(self) -> NDArray[np.float32]:
        """(I,) Euclidean norms of the items' factors."""
        lengths: NDArray[np.float32] = np.linalg.norm(self.item_factors, axis=1)
        return lengths

    @cached_property
    def base(self) -> NDArray[np.float64]:
        """(F, F) Y'Y + regularization I, in blocks: a float64 copy of all items would be twice the
        bundle.
        """
        total = self.parameter("regularization") * np.eye(self.item_factors.shape[1])
        for start in range(0, len(self.item_factors), 4096):
            part = self.item_factors[start : start + 4096].astype(np.float64)
            total += part.T @ part
        return total

    @cached_property
    def inverse(self) -> NDArray[np.float64]:
        """(F, F), of `base`."""
        return np.linalg.inv(self.base).astype(np.float64, copy=False)

    def parameter(self, name: str) -> float:
        """A number that fold-in needs.

        Raises:
            BundleError: the manifest does not have it, or not above 0.
        """
        value = self.manifest.parameters.get(name)
        if not isinstance(value, int | float) or value <= 0:
            raise BundleError(f"manifest.json: parameters: {name} must be above 0, is {value!r}")
        return float(value)

    def user_row(self, user_id: str) -> int | None:
        return _find(self.user_ids, user_id)

    def item_row(self, item_id: str) -> int | None:
        return _find(self.item_ids, item_id)

    def item_rows(self, item_ids: Sequence[str]) -> NDArray[np.int64]:
        """The same for many at once; -1 for an unknown one."""
        raw = [id_.encode(errors="surrogatepass") for id_ in item_ids]
        keys = np.array(
            raw, dtype=self.item_ids.dtype
        )  # cuts what is too long, and NULs at the end
        rows = np.minimum(np.searchsorted(self.item_ids, keys), len(self.item_ids) - 1)
        known = (self.item_ids[rows] == keys) & (np.char.str_len(keys) == [*map(len, raw)])
        return np.where(known, rows, -1)

    def user_id(self, row: int) -> str:
        return bytes(self.user_ids[row]).decode()

    def item_id(self, row: int) -> str:
        return bytes(self.item_ids[row]).decode()

    def seen(self, row: int) -> NDArray[np.int32]:
        """Item rows this user has rated, ascending."""
        return self.seen_items[self.seen_indptr[row] : self.seen_indptr[row + 1]]


def _find(ids: NDArray[np.bytes_], id_: str) -> int | None:
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
