"""Durable files, in directories that appear whole or not at all.

What the files hold is said elsewhere: `array_files` and `documents`.
"""

import ctypes
import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from movierec_serving.errors import BundleError

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
LEFTOVER_AGE = 3600.0  # seconds after which the directory of a writer that died is swept


def read_text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror or error}") from error


def write_file(path: Path, content: bytes | Iterable[bytes]) -> None:
    with path.open("xb") as file:
        file.writelines((content,) if isinstance(content, bytes) else content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file's content; a reader finds the old or the new, also after a crash."""
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
    with scratch_directory(final) as staged:
        yield staged
        _sync_directory(staged)
        _move_into_place(staged, final)
        _sync_directory(final.parent)


@contextmanager
def scratch_directory(beside: Path) -> Iterator[Path]:
    """A temporary sibling that vanishes with the block; what a killed process left is swept."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    _sweep_leftovers(beside)
    scratch = beside.with_name(f".tmp-{beside.name}-{secrets.token_hex(6)}")
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def link_file(source: Path, target: Path) -> None:
    """Put the bytes at `target`, without a second copy where the file system can."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        with target.open("rb") as file:
            os.fsync(file.fileno())


def remove_folder(folder: Path) -> None:
    """Remove a folder whose name must never stand for half of its files."""
    if folder.is_dir():
        aside = folder.with_name(f".tmp-{folder.name}-{secrets.token_hex(6)}")
        folder.rename(aside)
        shutil.rmtree(aside)


def _move_into_place(staged: Path, final: Path) -> None:
    """Move a directory in one step, also where one is already: whoever looks finds the old one or
    the new one, also after a crash.
    """
    try:
        staged.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _exchange(staged, final)
        shutil.rmtree(staged, ignore_errors=True)


def _exchange(path: Path, other: Path) -> None:
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # not Linux: for a moment nothing is there
        aside = other.with_name(f".old-{other.name}-{secrets.token_hex(6)}")
        other.rename(aside)
        path.rename(other)
        aside.rename(path)
        return
    if rename(AT_FDCWD, os.fsencode(path), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), f"{other} could not be replaced by {path}")


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
