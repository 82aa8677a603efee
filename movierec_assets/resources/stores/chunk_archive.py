"""Delivered files as they came, for ever."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import dagster as dg

from movierec_assets.errors import AlteredChunkError
from movierec_assets.resources.stores.receipts import Receipts
from movierec_serving.bundle.files import replace_file

logger = logging.getLogger(__name__)


class ChunkArchive(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Each chunk once, at `<path>/<day>/<sha256>`: what a model was trained on can always be read
    again.
    """

    path: str

    def store(self, day: str, content: bytes) -> str:
        """Keep `content` and return its sha256; keeping the same bytes twice changes nothing.

        A copy that was altered is put right, and the log says so.
        """
        digest = hashlib.sha256(content).hexdigest()
        target = self.file(day, digest)
        if target.exists():
            if target.read_bytes() == content:
                return digest
            logger.warning("%s: the archived chunk was changed; it is put right", target)
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, content)
        return digest

    @property
    def receipts(self) -> Receipts:
        """When and under which name each chunk was delivered."""
        return Receipts(Path(self.path))

    def read(self, day: str, digest: str) -> bytes:
        """The chunk's bytes.

        Raises:
            FileNotFoundError: it is not in the archive.
            AlteredChunkError: its bytes no longer have this sha256.
        """
        content = self.file(day, digest).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise AlteredChunkError(f"{self.file(day, digest)}: the archived chunk was changed")
        return content

    def file(self, day: str, digest: str) -> Path:
        """Where a chunk is kept, if it is."""
        return Path(self.path) / day / digest
