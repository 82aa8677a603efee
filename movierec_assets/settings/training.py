"""What is trained every day, how, and how its lists are made."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, field_validator
from pydantic_settings import NoDecode

WEIGHTING = r"^(rating|ones|positives|power:[0-9]+(\.[0-9]+)?)$"
Arm = Literal["als", "ease", "spark_als"]
OF_TRAINING = (  # what decides a model
    *("model", "factors", "regularization", "alpha", "weighting", "iterations", "warm_iterations"),
    *("dislike_confidence", "half_life_days", "ease_regularization", "ease_weighting"),
    *("spark_als_regularization", "spark_als_alpha"),
)
OF_LISTS = ("popularity_correction", "calibration")
OF_A_POLICY = (*OF_TRAINING, *OF_LISTS)
TAKEN = ("production", "popular", *get_args(Arm))  # names of arms that are something else
ARM_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class TrainingSettings(BaseModel):
    """Families, policies and their parameters."""

    model: Arm = Field(
        default="als",
        description="whose models are registered, judged and served: `als` is implicit ALS, `ease` "
        "is EASE, for up to 10,000 movies, `spark_als` is Spark's own ALS, by "
        "`MOVIEREC_SPARK_MASTER`",
    )
    also_train: Annotated[tuple[Arm, ...], NoDecode] = Field(
        default=(),
        description="models that are trained and evaluated every day beside it and not served, "
        "separated by commas",
    )
    policies: Annotated[dict[str, dict[str, Any]], NoDecode] = Field(
        default={},
        description="named ways to train that are tried beside the served one, as JSON: "
        '`{"wide": {"model": "als", "factors": 128}}`. Each is trained and evaluated every day as '
        "an asset of its own, and may be an arm of an experiment. It may name `model` and the "
        "settings of the families",
    )
    trainer: Literal["local", "spark"] = Field(
        default="local",
        description="where the fits of ALS run: `local` is the process of the run, `spark` a "
        "cluster, with the same bits",
    )
    spark_master: str = Field(
        default="local[*]",
        pattern=r"^(local(\[.+\])?|yarn|(spark|k8s)://.+)$",
        description="Spark's master, as `spark://host:7077`, `yarn` or `k8s://https://host:443`; "
        "`local[*]` is Spark without a cluster",
    )
    factors: int = Field(default=64, ge=1, le=1024, description="ALS: number of latent factors")
    regularization: float | None = Field(
        default=None,
        gt=0,
        description="ALS: weight of the L2 penalty on factors; empty: by the number of ratings, "
        "0.46 x ratings^(1/3)",
    )
    alpha: float = Field(default=5.0, gt=0, description="ALS: confidence of one unit of weight")
    weighting: str = Field(
        default="power:4",
        pattern=WEIGHTING,
        description="how stars become the weight of an interaction: `rating` is the stars, `ones` "
        "is 1, `positives` is 1 from 4 stars on and else 0, `power:P` is stars / 5 to the power P",
    )
    iterations: int = Field(default=15, ge=1, le=1000, description="ALS: iterations of a cold fit")
    warm_iterations: int = Field(
        default=2, ge=1, le=1000, description="ALS: iterations of a warm fit"
    )
    dislike_confidence: float = Field(
        default=2.0,
        ge=0,
        description="how strongly a disliked movie counts against movies like it, where an unseen "
        "one counts 1; 0: stars are never evidence against",
    )
    half_life_days: float | None = Field(
        default=None,
        gt=0,
        description="days after which an interaction counts half; empty: it always counts in full",
    )
    window_days: int | None = Field(
        default=None,
        ge=1,
        le=36_525,
        description="train on the ratings of this many last days; empty: on all",
    )
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="seed of the random factors of a cold fit"
    )
    ease_regularization: float = Field(
        default=100.0, gt=0, description="EASE: weight of the L2 penalty"
    )
    ease_weighting: str = Field(
        default="power:1",
        pattern=WEIGHTING,
        description="EASE: how stars become the weight of an interaction, as `MOVIEREC_WEIGHTING`",
    )
    spark_als_regularization: float = Field(
        default=0.3,
        gt=0,
        description="Spark's own ALS: weight of the L2 penalty on factors, for each rating",
    )
    spark_als_alpha: float = Field(
        default=5.0, gt=0, description="Spark's own ALS: confidence of one unit of weight"
    )
    popularity_correction: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="b: in each user's list a movie's score is divided by (1 + its ratings)^b, so "
        "that less known movies come forward; 0: it is not",
    )
    calibration: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="how much a list's genres are made to have the proportions of its user's "
        "taste, against the scores; 0: not at all",
    )

    @field_validator("policies", mode="before")
    @classmethod
    def _from_json(cls, value: object) -> object:
        try:
            return json.loads(value or "{}") if isinstance(value, str) else value
        except json.JSONDecodeError as error:
            raise ValueError(f'not JSON such as {{"wide": {{"factors": 128}}}}: {error}') from error

    @field_validator("policies")
    @classmethod
    def _can_be_trained(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, policy in value.items():
            if not ARM_NAME.fullmatch(name) or name in TAKEN:
                raise ValueError(f"{name!r}: a name is of a-z, 0-9 and _, and none of {TAKEN}")
            for setting, wanted in policy.items():
                if setting not in OF_A_POLICY:
                    raise ValueError(f"{name}: {setting} is none of {', '.join(OF_A_POLICY)}")
                field = cls.model_fields[setting]
                kind: Any = Annotated[field.annotation, field]
                try:
                    TypeAdapter(kind).validate_python(wanted)
                except ValidationError as error:
                    raise ValueError(f"{name}: {setting}: {error.errors()[0]['msg']}") from error
        return value

    @property
    def arms(self) -> tuple[str, ...]:
        """What is trained every day, the served one first."""
        return tuple(dict.fromkeys((self.model, *self.also_train, *self.policies)))

    def of_arm(self, arm: str) -> Self:
        """The settings that an arm is trained by: a policy's, or those of a family."""
        return self.model_copy(update=self.policies.get(arm, {"model": arm}))
