"""Implicit ALS: factors of users and of items.

Hu, Koren & Volinsky (2008), "Collaborative Filtering for Implicit Feedback Datasets": with item
factors Y fixed, a user's are x = A^-1 Y'c over the rated items, A = B + Y'(C - I)Y, B = (all
items') Y'Y + regularization I. A disliked item has a negative weight: |c| stands in A, and nothing
on the right side, as in implicit.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.families.family import Family, Rows

PART = 4096  # items copied to float64 at once


class Als(Family):
    """Weights are confidences c = alpha x weight of the stars."""

    name = "als"
    layout = {  # noqa: RUF012, a constant of the class
        "user_factors": ("<f4", ("users", "factors")),
        "item_factors": ("<f4", ("items", "factors")),
    }

    @property
    def item_vectors(self) -> NDArray[np.float32]:
        return self.arrays["item_factors"]

    def user_vectors(self, rows: Rows) -> NDArray[np.float32]:
        return self.arrays["user_factors"][rows]

    def weigh(self, stars: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._weigh(stars, self._positive("alpha"))

    def fold_in(self, items: Rows, weights: NDArray[np.float64]) -> NDArray[np.float32]:
        """One half-step of ALS, items fixed; all zeros where nothing was rated."""
        rated = self._factors(items)
        return self._solve(rated, weights, rated.T @ self._praise(weights)).astype(np.float32)

    def contributions(
        self, items: Rows, weights: NDArray[np.float64], wanted: Rows
    ) -> NDArray[np.float64]:
        rated = self._factors(items)
        lifted = self._solve(rated, weights, self._factors(wanted).T)
        return np.asarray(self._praise(weights)[:, None] * (rated @ lifted))

    def _praise(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) what stands on the right side."""
        return np.maximum(weights, 0)

    def _factors(self, items: Rows) -> NDArray[np.float64]:
        return np.asarray(self.item_vectors[items], dtype=np.float64)

    def _solve(
        self,
        rated: NDArray[np.float64],
        weights: NDArray[np.float64],
        right: NDArray[np.float64],
    ) -> NDArray[np.floating[Any]]:
        """A^-1 `right`. A is positive definite: B has every rated item once, so that |c| - 1 >= -1
        takes less away.

        Few ratings change B by a small rank, so its inverse serves all: with V = Y B^-1,
        A^-1 = B^-1 - V'(I + (C - I) Y V')^-1 (C - I) V (Woodbury).
        """
        inverse, extra = self._inverse, np.abs(weights) - 1.0
        if len(rated) > len(inverse):
            return np.linalg.solve(self._base + (rated.T * extra) @ rated, right)
        lifted = rated @ inverse
        weighted = lifted * extra[:, None]
        small = np.eye(len(rated)) + weighted @ rated.T
        return inverse @ right - lifted.T @ np.linalg.solve(small, weighted @ right)

    @property
    def _ridge(self) -> float:
        """The L2 penalty that is the same for everybody."""
        return self._positive("regularization")

    @cached_property
    def _base(self) -> NDArray[np.float64]:
        """(F, F), B; in parts, since a float64 copy of all items would be twice the bundle."""
        total = self._ridge * np.eye(self.item_vectors.shape[1])
        for start in range(0, len(self.item_vectors), PART):
            part = self.item_vectors[start : start + PART].astype(np.float64)
            total += part.T @ part
        return total

    @cached_property
    def _inverse(self) -> NDArray[np.float64]:
        """(F, F), B^-1."""
        return np.linalg.inv(self._base).astype(np.float64, copy=False)
