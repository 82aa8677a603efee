"""The same list for everybody: what most people rated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_assets.training.factors import Factors
from movierec_assets.training.interactions import Interactions


def fit(data: Interactions, _: NDArray[np.float32], __: Mapping[str, Any], ___: int) -> Factors:
    """One factor: a movie's number of ratings, and 1 for each user."""
    users = np.ones((len(data.user_ids), 1), np.float32)
    return Factors(data.user_ids, data.movie_ids, users, data.popularity().reshape(-1, 1))
