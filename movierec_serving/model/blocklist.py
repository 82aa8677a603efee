"""Movies taken off: no list of any endpoint of the store contains them, from the next request
on.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from movierec_serving.bundle.files import replace_file
from movierec_serving.errors import BlocklistError
from movierec_serving.model.pointer import Pointer
from movierec_serving.model.takedowns import NONE, TakedownLog, Takedowns

Change = Callable[[frozenset[str]], frozenset[str]]


class Blocklist:
    """Movie ids in a file of the store, and a mapped number that moves with each change.

    A process compares the number as a request begins, as it does with the version, and reads the
    file if it has moved: so a request sent after the acknowledgement knows the change, in every
    process. The store can be lost and published again; a copy beside it keeps the takedowns.

    Where endpoints have an object store in common, its log decides and the file is a copy, which
    `follow` renews.
    """

    def __init__(self, store: Path, log: TakedownLog | None = None) -> None:
        self._path, self._copy = store / ".blocked", store.with_name("blocklist.json")
        if self._path.is_file() and not self._copy.exists():  # of before there was a copy
            with suppress(OSError):
                replace_file(self._copy, self._path.read_bytes())
        self._generation = Pointer.open(store / ".blocked.generation")
        self._known: tuple[int, frozenset[str]] | None = None
        self._log, self._entry = log, store / ".blocked.entry"
        self._looked = Pointer.open(store / ".blocked.looked") if log else None

    def ids(self) -> frozenset[str]:
        """The blocked ids; the object is the same one until something changes.

        Raises:
            BlocklistError: the file is not a list of ids, or the log was not looked at for too
                long.
        """
        if self._log is not None and self._looked is not None:
            silence = _now() - self._looked.load()
            if not 0 <= silence <= self._log.lease * 1000:
                raise BlocklistError("it is not known which movies others have taken off")
        generation, known = self._generation.load(), self._known
        if known is None or known[0] != generation:
            self._known = known = (generation, self._read())
        return known[1]

    def set(self, movie_id: str, blocked: bool) -> bool:
        """On the disk and visible to every process when this returns, at all endpoints of an object
        store, too; whether it changed anything.

        Raises:
            StoreError: nobody can be told, or it is not known whether they were; try again.
        """

        def changed(ids: frozenset[str]) -> frozenset[str]:
            return ids | {movie_id} if blocked else ids - {movie_id}

        if self._log is None:
            return self._keep(changed)
        copied = self._copied()
        before = self._last(self._log, copied)
        after = self._log.change(before, changed)
        self._take_over(after, copied)
        self._log.wait()
        return before.ids != after.ids

    def follow(self) -> None:
        """Look whether others have changed something, and take it over.

        Raises:
            StoreError, OSError: it cannot be known; after a while no list is answered.
        """
        if self._log is not None and self._looked is not None:
            began, copied = _now(), self._copied()
            self._take_over(self._last(self._log, copied), copied)
            self._looked.store(began)

    def forget_looks(self) -> None:
        """Forget when the log was last looked at.

        An endpoint does so as it starts: a look from before, or by another machine, says nothing.
        """
        if self._looked is not None:
            self._looked.store(0)

    def _last(self, log: TakedownLog, copied: Takedowns) -> Takedowns:
        """The log's last entry. What was taken off here before there was a log, or before it was
        lost, is added to it.
        """
        if log.has(copied):
            return log.newest(copied)
        own = self._read()
        return log.change(NONE, lambda ids: ids | own)

    def _take_over(self, last: Takedowns, copied: Takedowns) -> None:
        """Have the log's last entry here in place of the one that was `copied` a moment ago."""
        with self._locked():
            now = self._copied()
            if last == now or (now != copied and now.number > last.number):
                return  # another process was faster, and may know more
            self._write(last.ids)
            replace_file(self._entry, last.model_dump_json().encode())
            self._generation.store(self._generation.load() + 1)

    def _copied(self) -> Takedowns:
        """The entry of the log that the file is a copy of."""
        try:
            return Takedowns.model_validate_json(self._entry.read_bytes())
        except (OSError, ValidationError):  # it is read anew from the log
            return NONE

    def _keep(self, changed: Change) -> bool:
        with self._locked():
            before = self._read()
            after = changed(before)
            if after != before or not self._path.exists():
                self._write(after)
            # Also without a change: who wrote the file may have died before the number moved.
            self._generation.store(self._generation.load() + 1)
        return after != before

    def _locked(self) -> FileLock:
        return FileLock(self._path.with_name(".blocked.lock"), timeout=10.0)

    def _write(self, ids: frozenset[str]) -> None:
        content = json.dumps(sorted(ids)).encode()
        replace_file(self._copy, content)  # first: a kill in between loses no takedown
        replace_file(self._path, content)

    def _read(self) -> frozenset[str]:
        known = self._path if self._path.exists() else self._copy
        try:
            ids = json.loads(known.read_bytes())
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError) as error:
            raise BlocklistError(f"the blocklist cannot be read: {type(error).__name__}") from error
        if not isinstance(ids, list) or not all(isinstance(id_, str) for id_ in ids):
            raise BlocklistError("the blocklist is not a list of movie ids")
        return frozenset(ids)


def _now() -> int:
    """Milliseconds, also while the machine sleeps, the same for all of its processes."""
    return int(time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) * 1000)
