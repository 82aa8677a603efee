"""What the pipeline asks of the outside: protocols, one for each kind of store or service.

An object store, or another registry, is one more class in `resources/` that satisfies one of these,
and one line in `platform`. Only what stages, checks and commands call is here; what one adapter
needs for itself is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol

from movierec_assets.promotion.decisions import Action
from movierec_assets.promotion.findings import Verdict
from movierec_assets.promotion.version import Version
from movierec_assets.ratings.declaration import Declaration
from movierec_assets.training.day import Trained
from movierec_serving.bundle import Bundle, Movie, PublishedModel
from movierec_serving.bundle.everybody import ListsOf


class LandingZone(Protocol):
    """Where ratings arrive: a file a day, and the catalogue of movies."""

    def days(self) -> list[str]:
        """List the days for which there is a chunk, ascending; readable or not."""

    def readable(self, day: str) -> bool:
        """Whether a day's chunk can be read."""

    def read(self, day: str) -> tuple[Path, bytes]:
        """Give the name and content of a day's chunk; MissingChunkError where there is none."""

    def read_movies(self) -> tuple[Path, bytes]:
        """Give the name and content of the catalogue; MissingChunkError where there is none."""

    def deliver(self, day: str, content: bytes) -> bool:
        """Put a day's chunk where it belongs, at once or not at all; whether it was news."""

    def deliver_movies(self, content: bytes) -> bool:
        """Put the catalogue where it belongs, as `deliver` does a day."""


class ChunkArchive(Protocol):
    """Every delivered file, for ever, by its day and sha256; each has a receipt."""

    def store(self, day: str, content: bytes) -> str:
        """Keep `content` and return its sha256; keeping the same bytes twice changes nothing."""

    def names(self) -> set[tuple[str, str]]:
        """Give (day, sha256) of every chunk; none is read."""

    def read(self, day: str, sha256: str, *, altered: bool = False) -> bytes:
        """Give a chunk's bytes; AlteredChunkError if they are no longer the digest's, unless
        `altered` ones are wanted, too.
        """

    def store_declaration(self, source: str, declared: Declaration) -> str:
        """Keep what a source declares, and give its digest: a chunk's rows follow from both."""

    def declaration(self, source: str, name: str) -> Declaration:
        """Give what a source declared, by its digest; AlteredChunkError as `read`."""

    def share(self, *, without: Collection[tuple[str, str]] | None = None) -> int:
        """Let the object store, if there is one, have what is here, and no byte of the removed
        chunks `without`; how many files it had not.
        """

    def shared_names(self) -> set[tuple[str, str]]:
        """Give (day, sha256) of every chunk that the object store has."""

    def bring(self) -> int:
        """Have here what only the object store has; how many files."""

    def remove(self, day: str, sha256: str) -> None:
        """Take a chunk and its receipt away, because of a person whom it names."""


class Bundles(Protocol):
    """Trained models by identity: the served one, and the gate's twin beside it."""

    def served(self, identity: str) -> Path:
        """Give the local folder that holds the served model, if there is one."""

    def twin(self, identity: str) -> Path:
        """Give the local folder that holds the twin, if there is one."""

    def complete(self, identity: str) -> bool:
        """Whether both were written to their end."""

    def sound(self, identity: str) -> bool:
        """Whether every byte of both is as it was written."""

    def start(self, identity: str) -> Bundle | None:
        """Give a model that a warm fit may start from; None if it, or its twin, is missing."""

    def write_twin(self, model: Trained) -> None:
        """Write a day's twin; a sound one of the same identity is kept."""

    def write_served(self, model: Trained) -> None:
        """Write the served model of a day, after its twin; a sound one is kept."""

    def share(self) -> int:
        """Let the object store, if there is one, have what is here; how many it had not."""


class PublishedModels(Protocol):
    """What endpoints serve from: versions, each with its users' lists, immutable."""

    def publish(
        self, bundle: Path, version: int, movies: Mapping[str, Movie], lists_of: ListsOf = ...
    ) -> None:
        """Make a bundle the published `version`; doing so again changes nothing.

        Raises:
            BundleError: the bundle, or what is published already, is damaged.
        """

    def name_production(self, version: int) -> None:
        """Let endpoints that have nothing committed yet begin with a published version."""

    def open(self, version: int) -> PublishedModel:
        """Open a published version; BundleError if it is not there or damaged."""

    def versions(self) -> list[int]:
        """List what is published, ascending."""


class Registry(Protocol):
    """Versions of one model, the gate's verdicts on them, and which one is production."""

    def initialise(self) -> None:
        """Create what the registry needs, once; again it changes nothing."""

    def versions(self) -> list[Version]:
        """List all complete versions, oldest first."""

    def find(self, identity: str) -> Version | None:
        """Give the version of a model identity, of two the first; None if there is none."""

    def get(self, number: int) -> Version:
        """Give a version by its number."""

    def production(self) -> Version | None:
        """Give the version that is production, or None."""

    def register(
        self, bundle: Bundle, *, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None
    ) -> Version:
        """Register a bundle; the identity's version if there is one already."""

    def record_verdict(
        self, version: Version, verdict: Verdict, known: Collection[str] = ()
    ) -> Verdict:
        """Record a verdict, its numbers but those `known`; one that was recorded is returned."""

    def page(self, number: int) -> str:
        """Give the address of the page about a version, for a person."""

    def run_page(self, version: Version) -> str:
        """Give the address of the page about the run that made a version."""

    def change(self, action: Action, number: int, reason: str) -> None:
        """Record what somebody decided about a version; ChangeError if it makes no sense."""

    def reconcile(
        self,
        reported: Callable[[], int | None],
        report: Callable[[Version | None, int | None, str], None],
    ) -> Version | None:
        """Make production what the verdicts ask for, and report a move that was not reported."""


class Notices(Protocol):
    """Whoever is to know of what went wrong."""

    def send(self, text: str) -> bool:
        """Tell `text`; whether that was done. Never raises."""
