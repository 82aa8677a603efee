"""Bayesian personalised ranking: factors learned from pairs of a rated and an unrated movie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_assets.training.factors import Factors
from movierec_assets.training.interactions import Interactions


def fit(
    data: Interactions, weights: NDArray[np.float32], parameters: Mapping[str, Any], seed: int
) -> Factors:
    """Rendle et al. (2009), "BPR: Bayesian Personalized Ranking from Implicit Feedback"; implicit's, one thread.

    It sees who rated what and not how well: pairs of weight 0 are left out. The last factor is the movie's bias.

    Args:
        parameters: factors, regularization, iterations.
    """
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=parameters["factors"], regularization=parameters["regularization"],
        iterations=parameters["iterations"], random_state=seed, num_threads=1,  # more would race for the factors
    )  # fmt: skip
    matrix = data.matrix(weights)
    matrix.eliminate_zeros()
    model.fit(matrix, show_progress=False)
    return Factors(data.user_ids, data.movie_ids, model.user_factors, model.item_factors)
