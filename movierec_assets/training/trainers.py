"""The algorithms, in one table: ALS is what is served, the others say where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from movierec_assets.training import als, bpr, ease, item_knn, popularity
from movierec_assets.training.factors import Factors
from movierec_assets.training.interactions import Interactions


class Fit(Protocol):
    """(N,) confidences of the interactions, parameters and seed in, factors out: the same bits each time."""

    def __call__(
        self, data: Interactions, weights: NDArray[np.float32], parameters: Mapping[str, Any], seed: int, /
    ) -> Factors: ...


@dataclass(frozen=True)
class Trainer:
    """How an algorithm is fitted, and the parameters in which it differs from the settings."""

    fit: Fit
    parameters: Mapping[str, Any] = field(default_factory=dict)


TRAINERS: Mapping[str, Trainer] = {
    "ALS": Trainer(als.fit),
    "EASE": Trainer(ease.fit, {"regularization": 100.0, "alpha": 1.0, "weighting": "power:2"}),
    "item-kNN": Trainer(item_knn.fit, {"alpha": 1.0, "weighting": "power:2"}),
    "BPR": Trainer(bpr.fit, {"regularization": 0.01, "iterations": 100, "weighting": "positives"}),
    "popularity": Trainer(popularity.fit),
}
