"""Files of a bundle: arrays and sealed JSON documents, in directories that appear whole or not at
all.
"""

import ctypes
import errno
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.errors import BundleError as BundleError

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
LEFTOVER_AGE = 3600.0  # seconds after which the directory of a writer that died is swept


@dataclass(frozen=True)
class FileEntry:
    """What a manifest says about one array file."""

    sha256: str
    bytes: int
    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def from_json(cls, value: object, where: str) -> "FileEntry":
        fields = require(value, dict, where)
        kinds = {"sha256": str, "bytes": int, "dtype": str, "shape": list}
        if set(fields) != set(kinds):
            raise BundleError(f"{where}: needs sha256, bytes, dtype and shape")
        values = {
            name: require(fields[name], kind, f"{where}.{name}") for name, kind in kinds.items()
        }
        return cls(
            **{**values, "shape": tuple(require(n, int, f"{where}.shape") for n in values["shape"])}
        )


def require(value: object, kind: type, where: str) -> Any:
    """`value`, if it is of exactly this JSON type (true is not an integer)."""
    if type(value) is not kind:
        raise BundleError(f"{where}: must be of type {kind.__name__}, is {type(value).__name__}")
    return value


def write_array(directory: Path, name: str, array: NDArray[Any]) -> FileEntry:
    path = directory / name
    with path.open("xb") as file:
        np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    return FileEntry(sha256_of(path), path.stat().st_size, array.dtype.str, array.shape)


def open_array(
    directory: Path, name: str, entry: FileEntry, *, verify: bool = False
) -> NDArray[Any]:
    """The memory-mapped array; its header and size must be what the manifest says, its bytes with
    `verify`.

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
        array = np.lib.format.open_memmap(path, mode="r")
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
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(document: Mapping[str, Any]) -> str:
    """JSON text with a checksum of its own content: no hash elsewhere covers this file."""
    return (
        json.dumps({**document, "checksum": _checksum(document)}, indent=1, sort_keys=True) + "\n"
    )


def unseal(text: str | bytes, where: str, format_version: int) -> dict[str, Any]:
    """The document that `seal` wrote; refused when altered, or of another format version."""
    try:
        document = require(json.loads(text), dict, where)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where}: not JSON: {error}") from error
    if (found := document.get("format_version")) != format_version:
        raise BundleError(f"{where}: format version {found!r}, this program reads {format_version}")
    stated = document.pop("checksum", None)
    if stated != _checksum(document):
        raise BundleError(f"{where}: altered, its checksum does not fit")
    return dict(document)


def _checksum(document: Mapping[str, Any]) -> str:
    try:
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BundleError(f"not JSON: {error}") from error
    return hashlib.sha256(canonical.encode()).hexdigest()


def read_text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror or error}") from error


def write_file(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Whoever reads the file finds the old content or the new, also after a crash."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        write_file(fresh, content)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)  # the new name is durable only with its folder


@contextmanager
def staged_directory(final: Path) -> Iterator[Path]:
    """A temporary sibling that takes the place of `final` when the block ends well, and vanishes
    otherwise.

    Whatever is at `final` is replaced by it.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    _sweep_leftovers(final)
    staged = final.with_name(f".tmp-{final.name}-{secrets.token_hex(6)}")
    staged.mkdir()
    try:
        yield staged
        _sync_directory(staged)
        _move_into_place(staged, final)
        _sync_directory(final.parent)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def _move_into_place(staged: Path, final: Path) -> None:
    """In one step, also where a directory is already: a reader, or a crash, finds the old one or
    the new one.
    """
    try:
        staged.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _exchange(staged, final)
        shutil.rmtree(staged, ignore_errors=True)


def _exchange(one: Path, other: Path) -> None:
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # not Linux: for a moment nothing is there
        aside = other.with_name(f".old-{other.name}-{secrets.token_hex(6)}")
        other.rename(aside)
        one.rename(other)
        aside.rename(one)
        return
    if rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), f"{other} could not be replaced by {one}")


def _sweep_leftovers(final: Path) -> None:
    ours = (f".tmp-{final.name}-", f".old-{final.name}-")
    for leftover in os.scandir(final.parent):  # a bundle for each day of years: no glob
        with suppress(OSError):
            if (
                leftover.name.startswith(ours)
                and time.time() - leftover.stat().st_mtime > LEFTOVER_AGE
            ):
                shutil.rmtree(leftover.path, ignore_errors=True)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
