"""The chunk archive's copy in an object store: what trained each model."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from movierec_assets.resources.stores.shared_folder import Contents, SharedFolder
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.stored import Stored


class SharedChunks(SharedFolder):
    """The copy of the archive in `folder`. Its chunks never change."""

    NAME = "chunks"
    FILE = (  # a chunk, its receipt, a source's declaration
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9a-f]{64}(\.json)?"
        r"|sources/[a-z0-9][a-z0-9_-]{0,63}/[0-9a-f]{64}\.json"
    )
    LOCK = ".shared.lock"

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        super().__init__(store, folder, folder)

    def names(self) -> set[tuple[str, str]]:
        """(day, sha256) of every chunk that the copy has."""
        split = (path.split("/") for path in self.contents().files if not path.endswith(".json"))
        return {(day, sha256) for day, sha256 in split}

    def send(self, without: Collection[tuple[str, str]] | None = None) -> int:
        """Let the copy have every file that is here; how many it had not, or had otherwise.

        Args:
            without: (day, sha256) of the chunks that were taken out here. No byte of them is in the
                store afterwards, nor of anything that the index does not name.
        """
        gone = {f"{day}/{name}{end}" for day, name in without or () for end in ("", ".json")}
        return len(self._send(gone.__contains__, every=without is not None))

    def bring(self) -> int:
        """Have every file here that the copy has; how many were not. Those that are here stay."""
        with self._bringing() as known:
            here = self._here()
            lacking = {path: file for path, file in known.files.items() if path not in here}
            documents = {path: file for path, file in lacking.items() if path.endswith(".json")}
            self._get_all(documents)  # a chunk without its receipt would be guessed at
            self._get_all({path: file for path, file in lacking.items() if path not in documents})
        return len(lacking)

    def mend(self, day: str, sha256: str) -> bool:
        """Have a sound copy of one chunk here; whether there is one."""
        size = self.store.size(f"{self.NAME}/{sha256}")
        if size is not None:
            self._get(f"{day}/{sha256}", Stored(sha256=sha256, bytes=size))
        return size is not None

    def _here(self) -> dict[str, Path]:
        paths = {
            path.relative_to(self._folder).as_posix(): path for path in self._folder.rglob("*")
        }
        return {name: path for name, path in paths.items() if re.fullmatch(self.FILE, name)}

    def _news(
        self, here: Mapping[str, Path], known: Contents, every: bool
    ) -> Iterator[tuple[str, Stored]]:
        """A chunk that was altered is none of them."""
        for name, path in here.items():
            chunk = path.suffix == ""
            if not (chunk and name in known.files):
                file = Stored.of(path)
                if known.files.get(name) != file and not (chunk and file.sha256 != path.name):
                    yield name, file
