"""Movies taken off: no list contains them, whatever the model, from the next request on."""

import json
import os
from pathlib import Path

from filelock import FileLock

from movierec_serving.pointer import Pointer


class BlocklistError(Exception):
    """The blocked movies are not known, so no list can be answered."""


class Blocklist:
    """Movie ids in a file beside the pointer, and a mapped number that moves with each change.

    A process compares the number as a request begins, as it does with the version, and reads the file if
    it has moved: so a request sent after the acknowledgement knows the change, in every process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._generation = Pointer.open(path.with_suffix(".generation"))
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
        """On the disk and visible to every process when this returns; whether it changed anything."""
        with FileLock(self._path.with_name(f"{self._path.name}.lock"), timeout=10.0):
            before = self._read()
            after = before | {movie_id} if blocked else before - {movie_id}
            if after != before:
                fresh = self._path.with_suffix(".fresh")
                with fresh.open("w", encoding="utf-8") as file:
                    json.dump(sorted(after), file)
                    file.flush()
                    os.fsync(file.fileno())
                fresh.replace(self._path)
            # Also without a change: who wrote the file may have died before the number moved.
            self._generation.store(self._generation.load() + 1)
        return after != before

    def _read(self) -> frozenset[str]:
        try:
            ids = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError) as error:
            raise BlocklistError(f"the blocklist cannot be read: {type(error).__name__}") from error
        if not isinstance(ids, list) or not all(isinstance(id_, str) for id_ in ids):
            raise BlocklistError("the blocklist is not a list of movie ids")
        return frozenset(ids)
