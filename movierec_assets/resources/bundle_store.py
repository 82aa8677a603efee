"""Bundles by identity, each once, and the gate twins beside them."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import numpy as np

from movierec_assets.training.als import Factors
from movierec_assets.training.interactions import Interactions
from movierec_serving.bundle import Bundle, BundleContent, BundleError


class BundleStore(dg.ConfigurableResource):  # type: ignore[type-arg]
    """`<root>/bundles/<identity>` is the served model, `<root>/twins/<identity>` its gate twin.

    The twin is trained without the holdout: it is what is evaluated, and what the next twin starts from.
    """

    root: str

    def served(self, identity: str) -> Path:
        return Path(self.root) / "bundles" / identity

    def twin(self, identity: str) -> Path:
        return Path(self.root) / "twins" / identity

    def sound(self, identity: str) -> bool:
        """Whether every byte of both is as it was written; a damaged one is made again by training its day."""
        try:
            for path in (self.served(identity), self.twin(identity)):
                Bundle.open(path, verify=True)
        except BundleError:
            return False
        return True

    def complete(self, identity: str) -> bool:
        """Whether both were published: a bundle's folder appears only when it is complete."""
        return self.served(identity).is_dir() and self.twin(identity).is_dir()


def factors_of(bundle: Bundle) -> Factors:
    """A bundle's factors with the ids of their rows."""
    return Factors(
        tuple(key.decode() for key in bundle.user_ids.tolist()),
        tuple(key.decode() for key in bundle.item_ids.tolist()),
        np.asarray(bundle.user_factors),
        np.asarray(bundle.item_factors),
    )


def content(interactions: Interactions, weights: np.ndarray, factors: Factors) -> BundleContent:
    """What a bundle holds: the factors, and each user's movies with their stars and confidence."""
    confidence, stars = interactions.matrix(weights), interactions.matrix(interactions.ratings)
    return BundleContent(
        user_ids=factors.user_ids, item_ids=factors.movie_ids, user_factors=factors.users, item_factors=factors.movies,
        seen_indptr=confidence.indptr.astype(np.int64), seen_items=confidence.indices.astype(np.int32),
        seen_ratings=stars.data, seen_confidence=confidence.data, popularity=interactions.popularity(),
    )  # fmt: skip
