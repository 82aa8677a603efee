"""Bundles by identity, each once, and the gate twins beside them."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from movierec_assets.training.day import TrainedDay
from movierec_serving.bundle import Bundle, BundleError, write_bundle


class BundleStore(dg.ConfigurableResource):  # type: ignore[type-arg]
    """`<root>/bundles/<identity>` is the served model, `<root>/twins/<identity>` its gate twin.

    The twin is trained without the holdout: it is what is evaluated, and what the next twin starts
    from.
    """

    root: str

    def served(self, identity: str) -> Path:
        return Path(self.root) / "bundles" / identity

    def twin(self, identity: str) -> Path:
        return Path(self.root) / "twins" / identity

    def write(self, trained: TrainedDay) -> None:
        """Write a day's models; sound ones of the same identity that are there are kept."""
        for path, model in ((self.twin, trained.twin), (self.served, trained.served)):
            write_bundle(path(model.provenance.identity), model.content, model.provenance)

    def start(self, identity: str) -> Bundle | None:
        """A model that a warm fit may start from; None if it, or its twin, is missing.

        Raises:
            BundleError: it is damaged.
        """
        return Bundle.open(self.served(identity)) if self.complete(identity) else None

    def sound(self, identity: str) -> bool:
        """Whether every byte of both is as it was written; a damaged one is made again by training
        its day.
        """
        try:
            for path in (self.served(identity), self.twin(identity)):
                Bundle.open(path, verify=True)
        except BundleError:
            return False
        return True

    def complete(self, identity: str) -> bool:
        """Whether both were published: a bundle's folder appears only when it is complete."""
        return self.served(identity).is_dir() and self.twin(identity).is_dir()
