"""Spark's own ALS: factors as implicit's, of another objective.

A rating of weight w has the confidence 1 + |w| where implicit's has w, and the L2 penalty of a user
is regularization x the number of their ratings that praise, as in Zhou et al. (2008), "Large-scale
Parallel Collaborative Filtering for the Netflix Prize".
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.families.als import Als


class SparkAls(Als):
    """Weights are w = alpha x weight of the stars."""

    name = "spark_als"

    def _praise(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(weights > 0, 1 + weights, 0.0)

    @property
    def _ridge(self) -> float:
        return 0.0

    def _solve(
        self,
        rated: NDArray[np.float64],
        weights: NDArray[np.float64],
        right: NDArray[np.float64],
    ) -> NDArray[np.floating[Any]]:
        """A^-1 `right`. Its penalty is each user's own, so that no inverse serves all."""
        penalty = self._positive("regularization") * max(int((weights > 0).sum()), 1)
        own = penalty * np.eye(self._base.shape[0]) + (rated.T * np.abs(weights)) @ rated
        return np.linalg.solve(self._base + own, right)
