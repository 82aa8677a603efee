"""Movies taken off: no list of any endpoint of the store contains them, from the next request
on.
"""

import json
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from movierec_serving.bundle.files import replace_file
from movierec_serving.errors import BlocklistError
from movierec_serving.model.pointer import Pointer


class Blocklist:
    """Movie ids in a file of the store, and a mapped number that moves with each change.

    A process compares the number as a request begins, as it does with the version, and reads the
    file if it has moved: so a request sent after the acknowledgement knows the change, in every
    process. The store can be lost and published again; a copy beside it keeps the takedowns.
    """

    def __init__(self, store: Path) -> None:
        self._path, self._copy = store / ".blocked", store.with_name("blocklist.json")
        if self._path.is_file() and not self._copy.exists():  # of before there was a copy
            with suppress(OSError):
                replace_file(self._copy, self._path.read_bytes())
        self._generation = Pointer.open(store / ".blocked.generation")
        self._known: tuple[int, frozenset[str]] | None = None

    def ids(self) -> frozenset[str]:
        """The same object until something changes.

        Raises:
            BlocklistError: the file is not a list of ids.
        """
        generation, known = self._generation.load(), self._known
        if known is None or known[0] != generation:
            self._known = known = (generation, self._read())
        return known[1]

    def set(self, movie_id: str, blocked: bool) -> bool:
        """On the disk and visible to every process when this returns; whether it changed
        anything.
        """
        with FileLock(self._path.with_name(".blocked.lock"), timeout=10.0):
            before = self._read()
            after = before | {movie_id} if blocked else before - {movie_id}
            if after != before or not self._path.exists():
                content = json.dumps(sorted(after)).encode()
                replace_file(self._copy, content)  # first: a kill in between loses no takedown
                replace_file(self._path, content)
            # Also without a change: who wrote the file may have died before the number moved.
            self._generation.store(self._generation.load() + 1)
        return after != before

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
