"""Archived chunks laid out as if they were delivered again, read as they were read then."""

from __future__ import annotations

from movierec_assets.ratings.declaration import Declaration
from movierec_assets.ratings.ledger import DEFAULT_SOURCE
from movierec_assets.resources.stores.chunk_archive import ChunkArchive
from movierec_assets.resources.stores.landing_zone import LandingZone


class ReplayedZone(LandingZone):
    """A landing zone whose sources declare what the archive kept, whatever they declare today.

    Attributes:
        archive: the folder of `ChunkArchive`.
        read_by: the digest of each source's archived declaration; "" where it had none.
    """

    archive: str
    read_by: dict[str, str]

    def sources(self) -> list[str]:
        """List the sources that are replayed."""
        return sorted({DEFAULT_SOURCE, *self.read_by})

    def declaration(self, source: str) -> Declaration | None:
        """What a source declared; None where it had no declaration."""
        digest = self.read_by.get(source)
        return ChunkArchive(path=self.archive).declaration(source, digest) if digest else None
