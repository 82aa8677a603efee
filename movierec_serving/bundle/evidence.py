"""What somebody rated, as the model weighs it: a vector for them, and the reasons for a score."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.model import Model
from movierec_serving.bundle.taste import liked, own_mean

LEAST_WEIGHT = 1e-6  # below it a score is rounding


@dataclass(frozen=True, eq=False)
class Evidence:
    """The items one user rated: (N,) rows each once, their weights in this model, which praise."""

    model: Model
    rows: NDArray[np.integer[Any]]
    weights: NDArray[np.float64]
    liked: NDArray[np.bool_]

    @classmethod
    def of_user(cls, model: Model, row: int) -> "Evidence":
        """What a known user rated, weighted as in training."""
        own = model.rated(row)
        stars, mean = model.seen_ratings[own], float(model.user_means[row])
        weights = model.seen_confidence[own].astype(np.float64)
        return cls(model, model.seen_items[own], weights, liked(stars, mean))

    @classmethod
    def of_ratings(cls, model: Model, ratings: Mapping[int, float]) -> "Evidence":
        """Stars by item row, weighted as in training and without decay: they were given just now.

        Raises:
            BundleError: the manifest lacks a parameter that weighs them.
        """
        rows = np.fromiter(ratings, np.int64, len(ratings))
        stars = np.fromiter(ratings.values(), np.float64, len(ratings))
        praised = liked(stars, own_mean(stars, model.family.mean_stars))
        return cls(model, rows, model.family.weigh(stars), praised)

    @classmethod
    def updated(
        cls,
        model: Model,
        row: int | None,
        ratings: Mapping[int, float],
        taken_back: NDArray[np.integer[Any]],
    ) -> "Evidence":
        """What a user (None for one whom the model does not know) rated, with ratings given just
        now in the place of older ones, and without what was taken back.
        """
        if row is None:
            return cls.of_ratings(model, ratings)
        own = model.rated(row)
        given = np.fromiter(ratings, np.int64, len(ratings))
        kept = ~np.isin(model.seen_items[own], np.concatenate([given, taken_back]))
        old = model.seen_ratings[own][kept]
        stars = np.concatenate([old, np.fromiter(ratings.values(), np.float64, len(ratings))])
        weights = model.family.weigh(stars)
        weights[: len(old)] = model.seen_confidence[own][kept]  # which may have decayed
        praised = liked(stars, own_mean(stars, model.family.mean_stars))
        return cls(model, np.concatenate([model.seen_items[own][kept], given]), weights, praised)

    @property
    def usable(self) -> bool:
        """Whether anything speaks for an item; decay may leave nothing of old ratings."""
        return bool((self.weights > LEAST_WEIGHT).any())

    @property
    def disliked(self) -> NDArray[np.integer[Any]]:
        """The rows of the items that speak against others like them."""
        return self.rows[self.weights < 0]

    def vector(self) -> NDArray[np.float32]:
        """(F,) the user's vector."""
        return self.model.family.fold_in(self.rows, self.weights)

    def shares(self, items: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """(N, len(items)): what each rated item adds to each score, as a share of all that is added
        or taken away.
        """
        added = self.model.family.contributions(self.rows, self.weights, items)
        total = np.abs(added).sum(axis=0)
        return added / np.where(total > 0, total, 1.0)
