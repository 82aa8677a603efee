"""Delivered files as they came, for ever."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import dagster as dg

from movierec_assets.errors import AlteredChunkError
from movierec_assets.ratings.declaration import Declaration, digest
from movierec_assets.resources.stores.receipts import Receipts, chunk_names
from movierec_assets.resources.stores.shared_chunks import SharedChunks
from movierec_serving.bundle import StoreError
from movierec_serving.bundle.files import replace_file
from movierec_serving.bundle.object_store import ObjectStore

logger = logging.getLogger(__name__)


class ChunkArchive(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Each chunk once, at `<path>/<day>/<sha256>`: what a model was trained on can always be read
    again. An object store may have a copy of all of it: see `SharedChunks`.
    """

    path: str
    object_store: str | None = None  # its URL

    def store(self, day: str, content: bytes) -> str:
        """Keep `content` and return its sha256; keeping the same bytes twice changes nothing.

        A copy that was altered is put right, and the log says so.
        """
        sha256 = hashlib.sha256(content).hexdigest()
        target = self.file(day, sha256)
        if target.exists():
            if target.read_bytes() == content:
                return sha256
            logger.warning("%s: the archived chunk was changed; it is put right", target)
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, content)
        return sha256

    @property
    def receipts(self) -> Receipts:
        """When and under which name each chunk was delivered."""
        return Receipts(Path(self.path))

    def store_declaration(self, source: str, declared: Declaration) -> str:
        """Keep what a source declares, and return its digest: a chunk's rows follow from both."""
        name = digest(declared)
        target = self._declaration(source, name)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_file(target, declared.model_dump_json(indent=1).encode())
        return name

    def declaration(self, source: str, name: str) -> Declaration:
        """What a source declared, by its digest; FileNotFoundError where it was not kept.

        Raises:
            AlteredChunkError: it no longer has this digest.
        """
        target = self._declaration(source, name)
        declared = Declaration.model_validate_json(target.read_bytes())
        if digest(declared) != name:
            raise AlteredChunkError(f"{target}: the archived declaration was changed")
        return declared

    def _declaration(self, source: str, name: str) -> Path:
        return Path(self.path) / "sources" / source / f"{name}.json"

    def names(self) -> set[tuple[str, str]]:
        """(day, sha256) of every chunk; none is read."""
        return set(chunk_names(Path(self.path)))

    def read(self, day: str, sha256: str, *, altered: bool = False) -> bytes:
        """The chunk's bytes; those of the store's copy where they are lost or altered here.

        Args:
            altered: give them also if they were changed.

        Raises:
            FileNotFoundError: it is not in the archive.
            AlteredChunkError: its bytes no longer have this sha256.
        """
        file = self.file(day, sha256)
        content = None
        with suppress(FileNotFoundError):
            content = file.read_bytes()
        if content is not None and hashlib.sha256(content).hexdigest() == sha256:
            return content
        if self._mended(day, sha256) or content is None:
            return file.read_bytes()
        if not altered:
            raise AlteredChunkError(f"{file}: the archived chunk was changed")
        return content

    def remove(self, day: str, sha256: str) -> None:
        """Take a chunk and its receipt away; again it changes nothing."""
        self.file(day, sha256).unlink(missing_ok=True)
        self.receipts.remove(day, sha256)

    def share(self, *, without: Collection[tuple[str, str]] | None = None) -> int:
        """Let the object store have what is here; how many files it had not. 0 if there is none.

        Args:
            without: chunks that were removed here, and of which it has no byte afterwards.

        Raises:
            StoreError: it did not do so; the next call goes on.
        """
        return self.shared.send(without) if self.shared else 0

    def shared_names(self) -> set[tuple[str, str]]:
        """(day, sha256) of every chunk that the object store has; StoreError as `share`."""
        return self.shared.names() if self.shared else set()

    def bring(self) -> int:
        """Have here what only the object store has; how many files. StoreError as `share`."""
        return self.shared.bring() if self.shared else 0

    @property
    def shared(self) -> SharedChunks | None:
        """The copy in the object store; None where there is none."""
        if not self.object_store:
            return None
        return SharedChunks(ObjectStore(self.object_store), Path(self.path))

    def _mended(self, day: str, sha256: str) -> bool:
        try:
            return self.shared is not None and self.shared.mend(day, sha256)
        except StoreError as error:
            logger.warning("%s", error)
            return False

    def file(self, day: str, sha256: str) -> Path:
        """Where a chunk is kept, if it is."""
        return Path(self.path) / day / sha256
