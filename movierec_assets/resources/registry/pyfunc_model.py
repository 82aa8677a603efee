"""The MLflow model: a bundle of data read with NumPy. MLflow runs this file; nothing of ours
imports it.

Models from code: what is stored is this text, the reader's package in a zip file and the bundle's
files. Loading it needs mlflow, numpy and pydantic, not the trainer, and unpickles nothing.
"""

import sys
from typing import Any

import mlflow
import numpy as np
import pandas as pd


class Recommender(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined, misc]
    """Rows of user_id in; (user_id, rank, movie_id, score, source) out, best first."""

    def load_context(self, context: Any) -> None:
        sys.path.insert(0, context.artifacts["reader"])  # before another that may be installed
        from movierec_serving import bundle

        self.reader = bundle
        self.bundle = bundle.Bundle.open(context.artifacts["bundle"], verify=True)

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        n = int((params or {}).get("n", 10))
        rows = []
        for user_id in model_input["user_id"].astype(str):
            user = self.bundle.user_row(user_id)
            if user is None:
                best, scores, source = (
                    self.reader.popular(self.bundle, n),
                    np.full(n, np.nan),
                    "popular",
                )
            else:
                movies, values = self.reader.recommend(self.bundle, np.array([user]), n)
                best, scores, source = movies[0], values[0], self.bundle.family.name
            rows += [
                (user_id, rank, self.bundle.item_id(int(item)), float(score), source)
                for rank, (item, score) in enumerate(zip(best, scores, strict=False), start=1)
                if item >= 0
            ]
        return pd.DataFrame(rows, columns=["user_id", "rank", "movie_id", "score", "source"])


mlflow.models.set_model(Recommender())
