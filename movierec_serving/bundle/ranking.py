"""How the lists of a published model are made of its scores: corrected for popularity, calibrated.

Publication and requests use this one code, so a known user's list is the same from both. A model is
trained, judged by the gate and compared without it.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from movierec_serving.bundle import calibration
from movierec_serving.bundle.documents import Strict
from movierec_serving.bundle.kernel import recommend, top_items
from movierec_serving.bundle.model import Model

Rows = NDArray[np.integer[Any]]
Lists = tuple[NDArray[np.int32], NDArray[np.float32]]  # (B, n) rows, -1 for none; scores, NaN there


class Ranking(Strict):
    """What is done to the scores; by default nothing."""

    popularity_correction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="b: a score is divided by (1 + the movie's ratings)^b",
        examples=[0.2],
    )
    calibration: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="how much a list's genres get the proportions of its user's taste",
        examples=[0.3],
    )


class Ranker:
    """Lists of one model.

    Args:
        genres: (C, G) of the movies, the model's items first.
        withdrawn: (C,) True for movies that no list has.
    """

    def __init__(
        self,
        model: Model,
        ranking: Ranking,
        genres: NDArray[np.bool_],
        withdrawn: NDArray[np.bool_] | None,
    ) -> None:
        items = len(model.item_ids)
        self._model, self._ranking, self._genres = model, ranking, genres[:items]
        self._withdrawn = None if withdrawn is None else np.flatnonzero(withdrawn[:items])
        self._damping = damping(model.popularity, ranking.popularity_correction)

    @property
    def calibrates(self) -> bool:
        return self._ranking.calibration > 0 and self._genres.shape[1] > 0

    def by_score(self, vectors: NDArray[np.float32], seen: Sequence[Rows], n: int) -> Lists:
        """The best `n` of each (B, F) vector by corrected score, without what is seen; also without
        what is withdrawn.
        """
        if self._withdrawn is not None:
            seen = [np.concatenate([own, self._withdrawn]) for own in seen]
        model = self._model
        lengths, damped = model.lengths, self._damping
        return top_items(model.item_vectors, vectors, seen, n, lengths=lengths, damping=damped)

    def of_users(self, rows: Rows | Sequence[int], n: int) -> Lists:
        """The first `n` places of known users' lists, of which all `n` are calibrated."""
        model, users = self._model, np.asarray(rows, np.int64)
        items, scores = recommend(model, users, n, left_out=self._withdrawn, damping=self._damping)
        if self.calibrates:
            for start in range(0, len(users), calibration.AT_ONCE):
                part = slice(start, start + calibration.AT_ONCE)
                rated = [self._rated(row) for row in users[part].tolist()]
                items[part], scores[part] = self.calibrated(items[part], scores[part], rated)
        return items, scores

    def calibrated(
        self,
        items: NDArray[np.int32],
        scores: NDArray[np.float32],
        rated: Sequence[tuple[Rows, NDArray[Any]]],
    ) -> Lists:
        """(B, n) lists in the calibrated order.

        Args:
            rated: of each user the item rows that they rated, and their weights.
        """
        tastes = [calibration.taste(self._genres[rows], weights) for rows, weights in rated]
        order = calibration.calibrated(
            scores.astype(np.float64),
            self._shares[items],
            np.array(tastes),
            self._ranking.calibration,
        )
        return np.take_along_axis(items, order, 1), np.take_along_axis(scores, order, 1)

    @cached_property
    def _shares(self) -> NDArray[np.float64]:
        return calibration.shares(self._genres)

    def _rated(self, row: int) -> tuple[Rows, NDArray[Any]]:
        own = self._model.rated(row)
        return self._model.seen_items[own], self._model.seen_confidence[own]


def damping(ratings: NDArray[np.float32], correction: float) -> NDArray[np.float32] | None:
    """(I,) (1 + n)^-b: what a movie's score is multiplied by, with n its ratings; None for b = 0.

    A score grows with how often a movie is rated. The power is the weight of a movie in the
    popularity-stratified recall of Steck (2011), "Item Popularity and Recommendation Accuracy".
    """
    if not correction:
        return None
    return np.asarray((1.0 + ratings) ** -correction, np.float32)
