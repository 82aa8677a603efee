"""Item-kNN: what people rated who rated the same movies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_assets.training.ease import limited, of_pairs
from movierec_assets.training.factors import Factors
from movierec_assets.training.interactions import Interactions

NEIGHBOURS = 100  # of each movie


def fit(data: Interactions, weights: NDArray[np.float32], _: Mapping[str, Any], __: int) -> Factors:
    """Sarwar et al. (2001), "Item-Based Collaborative Filtering": cosine similarity, the nearest alone; implicit's.

    Raises:
        TooManyMoviesError: see `ease.fit`; the neighbours themselves are few, their matrix here is dense.
    """
    from implicit.nearest_neighbours import ItemItemRecommender, normalize

    limited(data)
    model = ItemItemRecommender(K=NEIGHBOURS, num_threads=1)
    model.fit(normalize(data.matrix(weights).T).T.tocsr(), show_progress=False)
    return of_pairs(data, weights, model.similarity.toarray())
