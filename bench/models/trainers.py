"""Algorithms that say where the served families stand; the pipeline does not know them.

Each makes models of a family that can rank them: scores are products of factors, or of pairs of
movies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from movierec_assets.ratings.interactions import Interactions
from movierec_assets.training.als import ALS
from movierec_assets.training.ease import EASE, check_size
from movierec_assets.training.trainer import Arrays, Parameters, Trainer, Weights
from movierec_serving.bundle import Model
from movierec_serving.bundle.taste import liked, overall_mean, popular_scores, user_means

NEIGHBOURS = 100  # of each movie, in item-kNN


def popularity(
    data: Interactions,
    weights: Weights,
    parameters: Parameters,
    seed: int = 0,
    parent: Model | None = None,
) -> Arrays:
    """The same list for everybody. One factor: how popular a movie is, and 1 for each user."""
    users = np.ones((len(data.user_ids), 1), np.float32)
    means = user_means(data.ratings, data.indptr, overall_mean(data.ratings))[data.users]
    praised = data.movies[liked(data.ratings, means)]
    likes = np.bincount(praised, minlength=len(data.movie_ids)).astype(np.float32)
    scores = popular_scores(likes, data.popularity)
    return {"user_factors": users, "item_factors": scores.reshape(-1, 1)}


def bpr(
    data: Interactions,
    weights: Weights,
    parameters: Parameters,
    seed: int = 0,
    parent: Model | None = None,
) -> Arrays:
    """Rendle et al. (2009), "BPR: Bayesian Personalized Ranking from Implicit Feedback";
    implicit's, one thread, since more race for the factors.

    It sees who rated what and not how well: pairs of weight 0 are left out. The last factor is the
    movie's bias.
    """
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    options = {name: parameters[name] for name in ("factors", "regularization", "iterations")}
    model = BayesianPersonalizedRanking(**options, random_state=seed, num_threads=1)
    matrix = data.matrix(weights)
    matrix.eliminate_zeros()
    model.fit(matrix, show_progress=False)
    return {"user_factors": model.user_factors, "item_factors": model.item_factors}


def item_knn(
    data: Interactions,
    weights: Weights,
    parameters: Parameters,
    seed: int = 0,
    parent: Model | None = None,
) -> Arrays:
    """Sarwar et al. (2001), "Item-Based Collaborative Filtering": cosine similarity, the nearest
    alone; implicit's.

    Raises:
        TooManyMoviesError: as EASE; the neighbours themselves are few, their matrix here is dense.
    """
    from implicit.nearest_neighbours import ItemItemRecommender, normalize

    check_size(data)
    model = ItemItemRecommender(K=NEIGHBOURS, num_threads=1)
    model.fit(normalize(data.matrix(weights).T).T.tocsr(), show_progress=False)
    return {"item_weights": np.ascontiguousarray(model.similarity.toarray().T, np.float32)}


@dataclass(frozen=True)
class Contender:
    """A trainer, and the parameters in which it differs from the settings of ALS.

    Neither neighbours nor BPR know evidence against a movie: a dislike is left out.
    """

    trainer: Trainer
    parameters: Mapping[str, Any] = field(default_factory=dict)


def _bench(family: str, fit: Any) -> Trainer:
    return Trainer(family=family, version="1", libraries=("implicit",), settings={}, fit=fit)


CONTENDERS: Mapping[str, Contender] = {
    "ALS": Contender(ALS),
    "EASE": Contender(EASE, {"regularization": 100.0, "alpha": 1.0, "weighting": "power:2"}),
    "item-kNN": Contender(
        _bench("ease", item_knn),
        {"alpha": 1.0, "weighting": "power:2", "dislike_confidence": 0.0},
    ),
    "BPR": Contender(
        _bench("als", bpr),
        {
            "regularization": 0.01,
            "iterations": 100,
            "weighting": "positives",
            "dislike_confidence": 0.0,
        },
    ),
    "popularity": Contender(_bench("als", popularity)),
}
