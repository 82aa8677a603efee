"""One array, one .npy file: written durably, mapped into memory, held against its entry."""

import hashlib
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

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


def write_arrays(directory: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, FileEntry]:
    """Write a file `<name>.npy` for each array, and describe them."""
    return {f"{name}.npy": write_array(directory, f"{name}.npy", arrays[name]) for name in arrays}


def write_array(directory: Path, name: str, array: NDArray[Any]) -> FileEntry:
    """Write a file that does not exist yet, and describe it."""
    with ArrayFile(directory, name, array.dtype, array.shape) as file:
        file.add(array)
    return file.entry


class ArrayFile:
    """A file that does not exist yet, written block by block of rows: no more is held than one.

    Its bytes are those of the whole array, written at once.

    Attributes:
        entry: what is in it, when all rows are.
    """

    entry: FileEntry

    def __init__(
        self, directory: Path, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> None:
        self._path, self._dtype, self._shape = directory / name, dtype, shape
        self._file = self._path.open("xb")
        descr = np.lib.format.dtype_to_descr(dtype)
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._size = self._file.tell() + math.prod(shape) * dtype.itemsize

    def add(self, rows: NDArray[Any]) -> None:
        """Write what comes next."""
        np.ascontiguousarray(rows, self._dtype).tofile(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        if kind is not None:
            return
        size = self._path.stat().st_size
        if size != self._size:
            raise ValueError(f"{self._path}: {size} bytes written, the shape has {self._size}")
        self.entry = FileEntry(
            sha256=sha256_of(self._path), bytes=size, dtype=self._dtype.str, shape=self._shape
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
