"""What else of a home is in the object store: files that nothing else makes again.

The archive of chunks has its own copy: see `shared_chunks`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from movierec_assets.ratings.file_names import MOVIES
from movierec_assets.resources.stores.shared_folder import Contents, Files, SharedFolder
from movierec_serving.bundle import BundleError, StoreError
from movierec_serving.bundle.files import read_text, replace_file
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.stored import Stored


@dataclass(frozen=True)
class HomeFiles:
    """The catalogue and the declarations of sources, of which an object store may have a copy.

    Args:
        object_store: its URL; None where there is none.
    """

    warehouse: Path
    object_store: str | None = None

    def share(self) -> int:
        """Let the object store have what is new here; how many files.

        Raises:
            StoreError: it did not do so; the next call goes on.
        """
        return self.shared.send() if self.shared else 0

    def bring(self) -> int:
        """Have here what only the object store has, or has newer; how many. StoreError as
        `share`.
        """
        return self.shared.bring() if self.shared else 0

    @property
    def shared(self) -> SharedFiles | None:
        """The copy in the object store; None where there is none."""
        return (
            SharedFiles(ObjectStore(self.object_store), self.warehouse)
            if self.object_store
            else None
        )


class SharedFiles(SharedFolder):
    """The copy of those files of `warehouse`. They change: here, and in the store while this disk
    was lost and restored from a backup.

    So it is kept what this home and the copy last agreed on. Whichever differs from that is newer;
    if both do, what is here is.
    """

    NAME = "home"
    FILE = r"landing/movies\.csv|sources/[a-z0-9][a-z0-9_-]{0,63}\.toml"
    LOCK = ".shared-home.lock"

    def __init__(self, store: ObjectStore, warehouse: Path) -> None:
        super().__init__(store, warehouse, warehouse / "chunks")
        self._agreed = warehouse / "chunks" / "agreed.json"

    def send(self) -> int:
        """Let the copy have what is new or changed here; how many files."""
        new = self._send(lambda path: False, every=False)
        self._agree(self.contents())
        return len(new)

    def bring(self) -> int:
        """Have here what only the copy has, or has newer; how many files."""
        with self._bringing() as known:
            due = self._lacking(known)
            self._get_all(due)
            self._agree(known)
        return len(due)

    def differences(self) -> tuple[list[str], list[str]]:
        """The files that the copy has not as they are here, and those that are not here as the copy
        has them.
        """
        known = self.contents()
        unsent = dict(self._news(self._here(), known, every=False))
        return sorted(unsent), sorted(self._lacking(known))

    def _news(
        self, here: Mapping[str, Path], known: Contents, every: bool
    ) -> Iterator[tuple[str, Stored]]:
        agreed = self._last()
        for path, file in _stored(here).items():
            there, changed = known.files.get(path), file != agreed.get(path)
            if there is None or (file != there and (changed or every)):
                yield path, file

    def _lacking(self, known: Contents) -> dict[str, Stored]:
        here, agreed = _stored(self._here()), self._last()
        unchanged = {path for path, file in here.items() if file == agreed.get(path)}
        return {
            path: file
            for path, file in known.files.items()
            if path not in here or (path in unchanged and file != here[path])
        }

    def _last(self) -> Files:
        if not self._agreed.exists():
            return {}
        try:
            return Contents.from_json(read_text(self._agreed), str(self._agreed)).files
        except BundleError as error:
            raise StoreError(
                f"{error}; delete that file: what is here is the newer one then"
            ) from error

    def _agree(self, known: Contents) -> None:
        """Keep what is the same here and there; of the rest, what was."""
        here, last = _stored(self._here()), self._last()
        same = {path: file for path, file in known.files.items() if here.get(path) == file}
        if (now := {**last, **same}) != last:
            replace_file(self._agreed, known.model_copy(update={"files": now}).to_json().encode())

    def _here(self) -> dict[str, Path]:
        landing = self._folder / "landing"
        paths = [*(self._folder / "sources").glob("*.toml")]
        if (movies := landing / MOVIES).resolve().is_relative_to(landing.resolve()):
            paths.append(movies)  # a link out is no catalogue: anyone may drop files there
        named = {path.relative_to(self._folder).as_posix(): path for path in paths}
        return {
            name: path
            for name, path in named.items()
            if path.is_file() and re.fullmatch(self.FILE, name)
        }


def _stored(here: Mapping[str, Path]) -> dict[str, Stored]:
    return {name: Stored.of(path) for name, path in here.items()}
