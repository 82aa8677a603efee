"""What a user rated, as ALS weighs it: factors for a new user, and the reasons for a score."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.bundle import Bundle
from movierec_serving.bundle.files import BundleError

LIKED_STARS = 4.0


def weight_of(stars: NDArray[Any], weighting: str) -> NDArray[Any]:
    """(N,) weight of ratings, before alpha: training and fold-in must agree on it.

    Args:
        weighting: "rating" for the stars, "ones" for 1, "power:P" for (stars / 5) ** P, "positives"
            for 1 from 4 stars and 0 below, which leaves the pair out.
    """
    if weighting == "rating":
        return stars
    if weighting == "ones":
        return np.ones_like(stars)
    if weighting == "positives":
        return (stars >= LIKED_STARS).astype(stars.dtype)
    kind, _, power = weighting.partition(":")
    if kind != "power":
        raise BundleError(f"weighting {weighting!r} is none of rating, ones, power:P, positives")
    return np.asarray((stars / 5) ** float(power), stars.dtype)


@dataclass(frozen=True)
class Evidence:
    """The items one user rated, (N,) rows each once, and their (N,) confidences c.

    Hu, Koren & Volinsky (2008), "Collaborative Filtering for Implicit Feedback Datasets": with item
    factors Y fixed, x = A^-1 Y'c over the rated items, A = B + Y'(C - I)Y, B = (all items') Y'Y +
    regularization I.
    """

    bundle: Bundle
    rows: NDArray[np.integer[Any]]
    confidence: NDArray[np.float64]

    @classmethod
    def of_user(cls, bundle: Bundle, row: int) -> "Evidence":
        part = slice(*bundle.seen_indptr[row : row + 2].tolist())
        return cls(bundle, bundle.seen_items[part], bundle.seen_confidence[part].astype(np.float64))

    @classmethod
    def of_ratings(cls, bundle: Bundle, ratings: Mapping[int, float]) -> "Evidence":
        """Stars by item row, weighted as in training and without decay: they were given just
        now.
        """
        stars = np.fromiter(ratings.values(), np.float64, len(ratings))
        weight = weight_of(stars, str(bundle.manifest.parameters.get("weighting", "rating")))
        return cls(
            bundle, np.fromiter(ratings, np.int64, len(ratings)), bundle.parameter("alpha") * weight
        )

    def factors(self) -> NDArray[np.float32]:
        """(F,), the user's; all zeros where nothing was rated."""
        return self._solve(self._rated.T @ self.confidence).astype(np.float32)

    def shares(self, items: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """(N, len(items)): what each rated item adds to each score, as a share of all that is added
        or taken away.
        """
        wanted = self.bundle.item_factors[items].astype(np.float64)
        added = self.confidence[:, None] * (self._rated @ self._solve(wanted.T))
        total = np.abs(added).sum(axis=0)
        return added / np.where(total > 0, total, 1.0)

    @cached_property
    def _rated(self) -> NDArray[np.float64]:
        return np.asarray(self.bundle.item_factors[self.rows], dtype=np.float64)

    def _solve(self, right: NDArray[np.float64]) -> NDArray[np.floating[Any]]:
        """A^-1 `right`. A is positive definite: B has every rated item once, so that c - 1 > -1
        takes less away.

        Few ratings change B by a small rank, so its inverse serves all: with V = Y B^-1,
        A^-1 = B^-1 - V'(I + (C - I) Y V')^-1 (C - I) V (Woodbury).
        """
        rated, inverse, extra = self._rated, self.bundle.inverse, self.confidence - 1.0
        if len(rated) > len(inverse):
            return np.linalg.solve(self.bundle.base + (rated.T * extra) @ rated, right)
        lifted = rated @ inverse
        weighted = lifted * extra[:, None]
        small = np.eye(len(rated)) + weighted @ rated.T
        return inverse @ right - lifted.T @ np.linalg.solve(small, weighted @ right)
