"""Ratings and models in memory: what the benchmarks of learning and of the gate are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from numpy.typing import NDArray

from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.ratings.interactions import Interactions
from movierec_assets.settings import Settings
from movierec_assets.training.als import ALS
from movierec_assets.training.trainer import Trainer, fitted
from movierec_serving.bundle import Model
from movierec_serving.bundle.layout import ARRAYS

AnyModel = TypeVar("AnyModel", bound=Model)
RATINGS = 100_000  # what parameters that follow from the size are set for


def defaults(trainer: Trainer, ratings: int = RATINGS) -> dict[str, Any]:
    """The parameters that the settings give a trainer where nothing is set, for so many ratings."""
    fields = Settings.model_fields
    values = {name: fields[setting].default for name, setting in trainer.settings.items()}
    return trainer.sized(values, ratings)


PARAMETERS = defaults(ALS)


def movielens(landing: Path = Path("warehouse/landing/ratings")) -> pd.DataFrame:
    """MovieLens 100k as `movierec fetch` delivered it, by day.

    Raises:
        FileNotFoundError: it has not been fetched.
    """
    files = sorted(landing.glob("*.csv"))
    if len(files) < 200:
        raise FileNotFoundError(f"{landing}: no MovieLens 100k; run `movierec fetch ml-100k` first")
    kinds = {"user_id": str, "movie_id": str, "rating": "float32", "timestamp": "int64"}
    days = pd.concat([pd.read_csv(file, dtype=kinds).assign(day=file.stem) for file in files])
    return days.rename(columns={"timestamp": "rated_at"}).rename_axis("record").reset_index()


def train(
    data: Interactions,
    parameters: Mapping[str, Any] = PARAMETERS,
    parent: Model | None = None,
    seed: int = 0,
) -> Model:
    """A model of ALS in memory, cold or warm from `parent`."""
    return fitted(ALS, data, "1970-01-01", parameters, seed, parent).model(parameters)


def with_arrays(model: AnyModel, **changed: NDArray[Any]) -> AnyModel:
    """Copy a model with some arrays replaced, also those of its family."""
    arrays = {**model.family.arrays, **changed}
    common: dict[str, Any] = {name: arrays.get(name) for name in ARRAYS}
    family = type(model.family)(arrays, model.parameters)
    return replace(model, family=family, blended=None, **common)


@dataclass(frozen=True)
class Day:
    """What a day's training leaves behind."""

    served: Model
    twin: Model


def train_day(
    data: Interactions,
    parameters: Mapping[str, Any] = PARAMETERS,
    parent: Day | None = None,
    seed: int = 0,
) -> Day:
    """Served model and twin, as `als_model` trains them while history is appended."""
    training = data.select(~temporal_holdout(data))
    return Day(
        train(data, parameters, parent.served if parent else None, seed),
        train(training, parameters, parent.twin if parent else None, seed),
    )
