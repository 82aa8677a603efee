"""Small models in memory, trained as the pipeline trains them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.models.chain import PARAMETERS, Day, train, train_day
from movierec_assets.ratings.interactions import Interactions, interactions_of
from movierec_serving.bundle import Model
from tests.support.generate import days_from, ratings_of_day

SMALL = {**PARAMETERS, "factors": 16, "regularization": 1.0, "iterations": 10}


def ratings(days: int = 4, **options: int) -> pd.DataFrame:
    """So many generated days in which nobody rates a movie twice: history is only appended."""
    rows = [
        [*row, day]
        for day in days_from("1998-03-01", days)
        for row in ratings_of_day(day, **{"users": 200, "movies": 120, "ratings": 1500, **options})
    ]
    frame = pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "rated_at", "day"])
    frame = frame.drop_duplicates(["user_id", "movie_id"])
    return (
        frame.astype({"rating": np.float32, "rated_at": np.int64})
        .rename_axis("record")
        .reset_index()
    )


def interactions_of_tastes(days: int = 4) -> Interactions:
    return interactions_of(ratings(days))


def trained(data: Interactions, parent: Model | None = None) -> Model:
    return train(data, SMALL, parent)


def trained_day(data: Interactions, parent: Day | None = None) -> Day:
    return train_day(data, SMALL, parent)
