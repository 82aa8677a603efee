"""Who may have done something lately: a bit for each of 16 million hashes of user ids, in a file
that all processes of a home have mapped.

A request for somebody who did nothing lately must not ask a database. A bit says "perhaps": two
users may share one. It is set before an event is acknowledged, and never taken back in place: what
is obsolete goes when the file is made anew.

Behind the bits are counters of changes, which many users share: whoever keeps what the store said
of a user asks again when the user's counter has moved.
"""

import fcntl
import mmap
import os
import secrets
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movierec_serving.errors import EventStoreError

SLOTS = 1 << 24  # with a million users, 6 % of the others ask the database for nothing
COUNTERS = 1 << 18  # of 4 bytes
SUPERSEDED = SLOTS // 8 + 4 * COUNTERS  # the last byte: a newer file has taken this one's place
SIZE = SUPERSEDED + 1


class FreshUsers:
    """Marks of users, in the file `path`; while there is none, everybody is perhaps marked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks: mmap.mmap | None = None

    def marked(self, user_id: str) -> bool:
        marks = self._current()
        if marks is None:
            return True
        slot = _slot(user_id)
        return bool(marks[slot >> 3] >> (slot & 7) & 1)

    def changes(self, user_id: str) -> int | None:
        """A number that moves when something of the user changed; None if nobody counts.

        Read it before the store is asked: what changes meanwhile moves it again.
        """
        marks = self._current()
        return None if marks is None else int(_counters(marks)[_slot(user_id) % COUNTERS])

    def changed(self, user_ids: Iterable[str]) -> None:
        """Count a change, once the store has it and before anybody is told; within `turn`."""
        marks = self._current()
        if marks is not None:
            counters = _counters(marks)
            for user_id in user_ids:
                counters[_slot(user_id) % COUNTERS] += 1

    def all_changed(self) -> None:
        """Count a change of everybody; within `turn`."""
        marks = self._current()
        if marks is not None:
            _counters(marks)[:] += 1

    def mark(self, user_ids: Iterable[str]) -> None:
        """Visible to every process at once; within `turn`, since bits share a byte."""
        marks = self._current()
        if marks is not None:
            for user_id in user_ids:
                slot = _slot(user_id)
                marks[slot >> 3] |= 1 << (slot & 7)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One at a time: whoever marks and makes it true, and whoever makes the file anew.

        Raises:
            EventStoreError: there is no room for the lock's file.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise EventStoreError(f"the store of events: {error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)  # closing is not enough once it was forked
            os.close(lock)

    def beside(self) -> "FreshUsers":
        """One without marks, to take this one's place by `replace`; OSError if there is no room."""
        other = FreshUsers(self._path.with_name(f".{self._path.name}.{secrets.token_hex(6)}"))
        other._path.parent.mkdir(parents=True, exist_ok=True)
        with other._path.open("xb") as file:
            # With its blocks: on a full disk, to write into a sparse mapping kills the process.
            os.posix_fallocate(file.fileno(), 0, SIZE)
            # From anywhere, so that a number of the file before does not come again.
            begin = np.full(COUNTERS, secrets.randbits(32), np.uint32)
            os.pwrite(file.fileno(), begin.tobytes(), SLOTS // 8)
        return other

    def replace(self, other: "FreshUsers") -> None:
        """Let another take this one's place for all processes; within `turn`."""
        before = FreshUsers(self._path)._current()
        other._path.replace(self._path)
        if before is not None:
            before[SUPERSEDED] = 1

    def discard(self) -> None:
        """Let everybody be perhaps marked, until there is another."""
        before = FreshUsers(self._path)._current()
        self._path.unlink(missing_ok=True)
        if before is not None:
            before[SUPERSEDED] = 1

    def _current(self) -> mmap.mmap | None:
        if self._marks is None or self._marks[SUPERSEDED]:
            try:
                with self._path.open("r+b") as file:
                    self._marks = mmap.mmap(file.fileno(), SIZE)
            except (OSError, ValueError):  # there is none, or it is cut short
                self._marks = None
        return self._marks


def _counters(marks: mmap.mmap) -> NDArray[np.uint32]:
    return np.frombuffer(marks, np.uint32, COUNTERS, SLOTS // 8)


def _slot(user_id: str) -> int:
    return zlib.crc32(user_id.encode("utf-8", "surrogatepass")) & (SLOTS - 1)
