"""Writing a bundle: checked first, durable, and there as a whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.bundle import Bundle
from movierec_serving.bundle.files import BundleError, staged_directory, write_array, write_file
from movierec_serving.bundle.layout import (
    ARRAYS,
    check_shapes,
    check_values,
    encode_ids,
    popularity_order,
)
from movierec_serving.bundle.manifest import FORMAT_VERSION, MANIFEST, Manifest


@dataclass(frozen=True)
class BundleContent:
    """What a trainer hands over; ids unique and ascending by UTF-8 bytes, rows in their order.

    `seen_*` is a CSR matrix users x items: `seen_items[seen_indptr[u]:seen_indptr[u + 1]]` are the
    ascending item rows of user u, beside them stars and the confidence ALS gave them.
    `popularity` is the number of ratings of each item.
    """

    user_ids: Sequence[str] = field(repr=False)
    item_ids: Sequence[str] = field(repr=False)
    user_factors: NDArray[Any] = field(repr=False)
    item_factors: NDArray[Any] = field(repr=False)
    seen_indptr: NDArray[Any] = field(repr=False)
    seen_items: NDArray[Any] = field(repr=False)
    seen_ratings: NDArray[Any] = field(repr=False)
    seen_confidence: NDArray[Any] = field(repr=False)
    popularity: NDArray[Any] = field(repr=False)


def write_bundle(
    path: Path, content: BundleContent, *, identity: str, **provenance: Any
) -> Manifest:
    """Write `content` to `path`; a sound bundle of the same identity there is kept, a broken one
    replaced.

    `provenance` is the manifest's fields from `data_until` to `blas`.

    Raises:
        BundleError: the content is not a model (the message names the array), or `path` holds a
            sound bundle of another identity.
    """
    path = Path(path)
    if (existing := _sound_manifest(path)) is not None:
        if existing.identity != identity:
            raise BundleError(f"{path}: holds the model {existing.identity}, not {identity}")
        return existing

    arrays = _arrays(content)
    counts = dict(zip(("users", "factors"), arrays["user_factors"].shape, strict=True))
    counts |= {"items": len(arrays["popularity"]), "interactions": len(arrays["seen_items"])}
    check_shapes(arrays, counts, identity)
    check_values(arrays, identity)
    with staged_directory(path) as staged:
        files = {
            f"{name}.npy": write_array(staged, f"{name}.npy", array)
            for name, array in arrays.items()
        }
        provenance["partitions"] = tuple(map(tuple, provenance["partitions"]))
        manifest = Manifest(FORMAT_VERSION, identity, counts=counts, files=files, **provenance)
        text = manifest.to_json()
        written = Manifest.from_json(text)  # what cannot be read back must not be written
        write_file(staged / MANIFEST, text.encode())
    return written


def _sound_manifest(path: Path) -> Manifest | None:
    try:
        return Bundle.open(path, verify=True).manifest
    except BundleError:
        return None


def _arrays(content: BundleContent) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "user_ids": encode_ids(content.user_ids, "user_ids"),
        "item_ids": encode_ids(content.item_ids, "item_ids"),
    }
    for name, (dtype, axes) in ARRAYS.items():
        if name in arrays or name == "popular_items":
            continue
        given = np.asarray(getattr(content, name))
        if given.ndim != len(axes):
            raise BundleError(
                f"{name}: has {given.ndim} axes, must have {len(axes)} ({', '.join(axes)})"
            )
        if given.dtype.kind not in "iuf":
            raise BundleError(f"{name}: has dtype {given.dtype}, must be numbers")
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused below
            array = given.astype(dtype, copy=False)
        if dtype.startswith("<i") and not np.array_equal(array, given):
            raise BundleError(f"{name}: has values that {dtype} cannot hold")
        arrays[name] = array
    arrays["popular_items"] = popularity_order(arrays["popularity"])
    return {name: arrays[name] for name in ARRAYS}
