"""What stages ask of bundles, the registry and notices: protocols, so that there may be others.

Another registry is one more class in `resources/` that satisfies its protocol, and one line in
`platform`. Only what stages, checks and commands call is here; what an adapter needs for itself is
its own. The other adapters are given as the classes they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol

from movierec_assets.promotion.decisions import Action
from movierec_assets.promotion.findings import Verdict
from movierec_assets.promotion.version import Version
from movierec_assets.training.day import Trained
from movierec_serving.bundle import Bundle


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
