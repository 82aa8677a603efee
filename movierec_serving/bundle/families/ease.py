"""EASE: what each item says about each other one.

Steck (2019), "Embarrassingly Shallow Autoencoders for Sparse Data": scores are x B, with a user's
weights x and (I, I) item-item weights B, whose diagonal is 0. There is nothing to learn about a
user, so a new one is answered as well as a known one.
"""

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.families.family import Family, Rows


class Ease(Family):
    """A user's vector is their weights, so F is the number of items; a disliked one has none.

    `item_weights` is B transposed: row j holds what a unit of weight of each item adds to the score
    of item j.
    """

    name = "ease"
    has_factors = False
    layout = {"item_weights": ("<f4", ("items", "items"))}  # noqa: RUF012, a constant of the class

    @property
    def item_vectors(self) -> NDArray[np.float32]:
        return self.arrays["item_weights"]

    def user_vectors(self, rows: Rows) -> NDArray[np.float32]:
        indptr = self.arrays["seen_indptr"]
        vectors = np.zeros((len(rows), len(self.item_vectors)), np.float32)
        for vector, row in zip(vectors, rows, strict=True):
            own = slice(indptr[row], indptr[row + 1])
            weights = self.arrays["seen_confidence"][own]
            vector[self.arrays["seen_items"][own]] = np.maximum(weights, 0)
        return vectors

    def weigh(self, stars: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._weigh(stars, 1.0)

    def fold_in(self, items: Rows, weights: NDArray[np.float64]) -> NDArray[np.float32]:
        vector = np.zeros(len(self.item_vectors), np.float32)
        vector[items] = np.maximum(weights, 0)
        return vector

    def contributions(
        self, items: Rows, weights: NDArray[np.float64], wanted: Rows
    ) -> NDArray[np.float64]:
        between = self.item_vectors[np.ix_(wanted, items)].astype(np.float64)
        return np.asarray(np.maximum(weights, 0)[:, None] * between.T)
