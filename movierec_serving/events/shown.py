"""What people were shown: a line for each list, in a file of the process that answered.

`<folder>/<UTC day>/<process>-<number>.jsonl`, written before the answer is sent. What becomes of
the lines is the pipeline's business.
"""

import logging
import mmap
import os
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NotRequired

import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

logger = logging.getLogger(__name__)

SIZE = 4 << 20  # bytes of a file; a list that does not fit begins another
DAY = 86_400  # seconds


@with_config(ConfigDict(extra="forbid"))
class Drafted(TypedDict):
    """What an arm gave to a list of two."""

    arm: str
    version: int
    source: str
    ms: float  # its ranking took, of a request for many users their mean
    places: list[int]  # its own, from 1 on in this list; of the others both arms have the movie
    reason: NotRequired[str]  # why it gave popular movies


@with_config(ConfigDict(extra="forbid"))
class Explored(TypedDict):
    """Places of one list that went to movies that nobody has rated."""

    share: float  # the probability with which each place was drawn
    places: list[int]  # from 1 on in this list


@with_config(ConfigDict(extra="forbid"))
class Impression(TypedDict):
    """One list that was shown; what is usual is left out."""

    recommendation_id: str
    at: float  # seconds since 1970
    version: int
    source: str
    movies: list[str]  # ids, in the order of their places
    ms: float  # it took to make the list
    user_id: NotRequired[str]  # absent where no user was asked for
    reason: NotRequired[str]  # why these are popular movies, or none
    offset: NotRequired[int]  # places of the ranking before the first one
    arm: NotRequired[str]  # of the experiment under way
    arm_failed: NotRequired[bool]  # the arm could not answer, so production did
    drafted: NotRequired[list[Drafted]]  # of an interleaved list, the control's part first
    explored: NotRequired[Explored]  # where MOVIEREC_EXPLORE_SHARE is above 0


_LINE: TypeAdapter[Impression] = TypeAdapter(Impression)
_line = partial(orjson.dumps, option=orjson.OPT_APPEND_NEWLINE)


class ShownLog:
    """Writes what one process shows. It never fails and never waits for a disk: an answer is worth
    more than its record.

    Each file is allocated as a whole and mapped. So a line costs a copy and no call of the kernel,
    a process that is killed loses none, and a full disk is met where the next file begins. What is
    not filled is zeros.

    Args:
        folder: where the days are.
        share: of the users whose lists are written, 0 to 1; always the same ones.
        lost: is told how many lists could not be written.
    """

    def __init__(self, folder: Path, share: float, lost: Callable[[int], None]) -> None:
        self._folder, self._lost = folder, lost
        self._below = round(share * 2**32)
        self._all = self._below > 0xFFFFFFFF
        self._file: _File | None = None
        self._turn = threading.Lock()  # pages are made by threads, other lists by the event loop
        os.register_at_fork(after_in_child=self._begin_anew)

    def keeps(self, key: str) -> bool:
        """Whether the lists of a user are written; without a user a list's id decides."""
        return self._all or zlib.crc32(key.encode(errors="surrogatepass")) < self._below

    def write(self, shown: Sequence[Impression]) -> None:
        """One request's lists, at the end of the newest file, before the answer leaves."""
        kept = shown if self._all else [each for each in shown if self.keeps(_key(each))]
        if not kept:
            return
        lines = b"".join(map(_line, kept))
        now = int(time.time())
        try:
            with self._turn:
                if self._file is None or not self._file.append(lines, now):
                    self._next_file(len(lines), now).append(lines, now)
        except (OSError, ValueError) as error:
            self._lost(len(kept))
            logger.debug("what was shown is not recorded: %s", error)

    def _next_file(self, size: int, now: int) -> "_File":
        if self._file is not None:
            self._file.end()
        self._file = None
        self._file = _File(self._folder, max(SIZE, size), now)
        return self._file

    def _begin_anew(self) -> None:
        """In a fork: the file is its parent's, and so may be whoever has the turn."""
        self._turn = threading.Lock()
        if self._file is not None:
            self._file.let_go()
        self._file = None


def _key(shown: Impression) -> str:
    """Whose lists are written or not: a user's; without one a list counts for itself."""
    return shown.get("user_id") or shown["recommendation_id"]


class _File:
    """A mapped file of one process and one day, with zeros after its lines."""

    def __init__(self, folder: Path, size: int, now: int) -> None:
        self._day, self._looked, self._filled = now // DAY, now, 0
        day = folder / datetime.fromtimestamp(now, UTC).date().isoformat()
        day.mkdir(parents=True, exist_ok=True)
        path = day / f"{os.getpid()}-{secrets.token_hex(6)}.jsonl"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Else a full disk would end the process with SIGBUS as it writes.
            os.posix_fallocate(self._descriptor, 0, size)
            self._mapped = mmap.mmap(self._descriptor, size)
        except OSError:
            os.close(self._descriptor)
            path.unlink(missing_ok=True)
            raise

    def append(self, lines: bytes, now: int) -> bool:
        """Whether it took them: it has room, is today's, and was not removed, which is looked at
        once a second.
        """
        end = self._filled + len(lines)
        if end > len(self._mapped) or (now != self._looked and not self._lasts(now)):
            return False
        self._mapped[self._filled : end] = lines
        self._filled = end
        return True

    def _lasts(self, now: int) -> bool:
        self._looked = now
        return now // DAY == self._day and os.fstat(self._descriptor).st_nlink > 0

    def end(self) -> None:
        """Give back what is not filled."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, self._filled)
        self.let_go()

    def let_go(self) -> None:
        self._mapped.close()
        os.close(self._descriptor)


def days_shown(folder: Path) -> list[str]:
    """The days (ISO) for which something was written, ascending."""
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return sorted(name for name in names if _is_day(name))


def read_shown(folder: Path, day: str) -> Iterator[tuple[Path, list[dict[str, Any]], int]]:
    """Each file of a day with its lists, and how many of its lines are none: torn or altered."""
    for path in sorted((folder / day).glob("*.jsonl")):
        shown: list[dict[str, Any]] = []
        torn = 0
        for line in path.read_bytes().rstrip(b"\0").splitlines():
            try:
                shown.append(dict(_LINE.validate_json(line)))
            except ValidationError:
                torn += 1
        yield path, shown, torn


def _is_day(name: str) -> bool:
    try:
        return datetime.strptime(name, "%Y-%m-%d").replace(tzinfo=UTC).date().isoformat() == name
    except ValueError:
        return False
