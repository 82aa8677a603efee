"""What every family says about itself; the families themselves are the files beside this one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.layout import Arrays, Layout
from movierec_serving.bundle.taste import overall_mean, own_mean, signed
from movierec_serving.bundle.weights import weight_of
from movierec_serving.errors import BundleError

Rows = NDArray[np.integer[Any]]


class Family(ABC):
    """One model's arrays, and the scores they give.

    A score is the inner product of a user's vector with an item's, in every family: so there is one
    kernel, which knows none of them. F is the length of these vectors, N the items that somebody
    rated.

    Args:
        arrays: the bundle's, those of all families (`layout.ARRAYS`) and the family's own.
        parameters: what the model was trained with.
    """

    name: ClassVar[str]  # in the manifest, in settings, and as `source` in answers
    layout: ClassVar[Layout]  # of the arrays that only this family has, float32
    has_factors: ClassVar[bool] = True  # vectors that content can be fitted to, for unrated movies

    def __init__(self, arrays: Arrays, parameters: Mapping[str, Any]) -> None:
        self.arrays, self.parameters = arrays, parameters

    @cached_property
    def mean_stars(self) -> float:
        """The mean of all ratings that the model was trained on."""
        return overall_mean(self.arrays["seen_ratings"])

    @property
    @abstractmethod
    def item_vectors(self) -> NDArray[np.float32]:
        """(I, F), one row an item, contiguous."""

    @abstractmethod
    def user_vectors(self, rows: Rows) -> NDArray[np.float32]:
        """(B, F) of known users, by their rows."""

    @abstractmethod
    def weigh(self, stars: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) weight of somebody's ratings, given just now, as training weighs them.

        Negative where the user disliked the item, if the model was trained so.
        """

    @abstractmethod
    def fold_in(self, items: Rows, weights: NDArray[np.float64]) -> NDArray[np.float32]:
        """(F,) vector of somebody who rated these item rows (each once), with these weights."""

    @abstractmethod
    def contributions(
        self, items: Rows, weights: NDArray[np.float64], wanted: Rows
    ) -> NDArray[np.float64]:
        """(N, len(wanted)): what each rated item adds to the score of each wanted one.

        The sum over the rated items is the score that `fold_in` gives.
        """

    def _weigh(self, stars: NDArray[np.float64], unit: float) -> NDArray[np.float64]:
        """The common rule; `unit` is what a unit of weight counts in the family."""
        weights = unit * weight_of(stars, str(self.parameters.get("weighting", "rating")))
        dislike = self.parameters.get("dislike_confidence")
        return np.asarray(signed(weights, stars, own_mean(stars, self.mean_stars), dislike))

    def _positive(self, name: str) -> float:
        """A parameter that answers need.

        Raises:
            BundleError: the manifest does not have it, or not above 0.
        """
        value = self.parameters.get(name)
        if not isinstance(value, int | float) or value <= 0:
            raise BundleError(f"manifest.json: parameters: {name} must be above 0, is {value!r}")
        return float(value)
