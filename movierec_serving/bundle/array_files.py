"""One array, one .npy file: written durably, mapped into memory, held against its entry."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from movierec_serving.bundle.documents import Strict
from movierec_serving.errors import BundleError

SMALL = 2**18  # bytes; a file up to this size is read and not mapped


class FileEntry(Strict):
    """What a document says about one array file."""

    sha256: str
    bytes: NonNegativeInt
    dtype: str
    shape: tuple[NonNegativeInt, ...]


def write_array(directory: Path, name: str, array: NDArray[Any]) -> FileEntry:
    """Write a file that does not exist yet, and describe it."""
    path = directory / name
    with path.open("xb") as file:
        np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    size = path.stat().st_size
    return FileEntry(
        sha256=sha256_of(path), bytes=size, dtype=array.dtype.str, shape=tuple(array.shape)
    )


def open_array(
    directory: Path, name: str, entry: FileEntry, *, verify: bool = False
) -> NDArray[Any]:
    """Map a file; its header and size must be what `entry` says, its bytes with `verify`.

    Raises:
        BundleError: missing, truncated, not an array, of another dtype or shape, or altered.
    """
    path = directory / name
    try:
        size = path.stat().st_size
        if size != entry.bytes:
            raise BundleError(f"{path}: {size} bytes, the manifest says {entry.bytes}")
        if verify and sha256_of(path) != entry.sha256:
            raise BundleError(f"{path}: altered, its sha256 is not the manifest's")
        # open_memmap reads nothing but .npy, so neither a pickle nor a .npz can come in.
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
        if size <= SMALL:  # a mapping keeps a descriptor, and a version has some 25 files
            array = np.array(array, order="K")
            array.flags.writeable = False
    except FileNotFoundError:
        raise BundleError(f"{path}: missing") from None
    except BundleError:
        raise
    except Exception as error:  # whatever NumPy makes of bytes that are no array
        raise BundleError(f"{path}: not a readable .npy file: {error}") from error
    if array.dtype.str != entry.dtype or array.shape != entry.shape or not array.flags.c_contiguous:
        raise BundleError(
            f"{path}: {array.dtype.str} {array.shape}, the manifest says {entry.dtype} "
            f"{entry.shape}"
        )
    return array.view(np.ndarray)  # plain, for np.memmap makes every slice several times slower


def sha256_of(path: Path) -> str:
    """The sha256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
