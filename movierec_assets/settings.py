"""Every setting of the pipeline, once. The reference is made from these fields."""

from __future__ import annotations

import json
import os
import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, TypeAdapter, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from movierec_serving.bundle.object_store import Address

WEIGHTING = r"^(rating|ones|positives|power:[0-9]+(\.[0-9]+)?)$"
Arm = Literal["als", "ease"]
OF_TRAINING = (  # what a policy may set
    *("model", "factors", "regularization", "alpha", "weighting", "iterations", "warm_iterations"),
    *("dislike_confidence", "half_life_days", "ease_regularization", "ease_weighting"),
)
TAKEN = ("production", "popular", *get_args(Arm))  # names of arms that are something else
ARM_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def default_home() -> Path:
    """The checkout: Dagster's home if it is set, else the current folder."""
    return Path(os.environ.get("DAGSTER_HOME") or Path.cwd())


class Settings(BaseSettings):
    """Read from the environment (prefix `MOVIEREC_`), then from the home's `.env`."""

    model_config = SettingsConfigDict(
        env_prefix="MOVIEREC_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    home: Path = Field(default_factory=default_home, description="folder that holds `warehouse/`")
    partition_start: date = Field(
        default=date(1997, 9, 20), description="first daily partition, a UTC day"
    )
    partition_end: date | None = Field(
        default=date(1998, 4, 22),
        description="last daily partition; empty: each day is added when it begins",
    )
    mlflow_tracking_uri: str | None = Field(
        default=None,
        validation_alias="MLFLOW_TRACKING_URI",
        description="address of an MLflow server, or of a PostgreSQL database as "
        "`postgresql+psycopg2://user@host/mlflow` with the password in `PGPASSWORD`; empty: SQLite "
        "in the warehouse",
    )
    dagster_database: str | None = Field(
        default=None,
        pattern=r"^postgresql\+psycopg2://[^:@/]+@",
        description="PostgreSQL database of Dagster's runs and events, as "
        "`postgresql+psycopg2://user@host/dagster` with the password in `PGPASSWORD`; empty: "
        "SQLite in the warehouse",
    )
    webserver_port: int = Field(
        default=3000,
        ge=1024,
        le=65535,
        validation_alias="DAGSTER_WEBSERVER_PORT",
        description="port of Dagster's UI, also in the links of notices",
    )
    mlflow_port: int = Field(default=5000, ge=1024, le=65535, description="port of MLflow's UI")
    metrics_port: int = Field(
        default=9464,
        ge=1024,
        le=65535,
        description="port of the pipeline's metrics for Prometheus, on loopback",
    )
    serving_port: int = Field(default=8000, ge=1024, le=65535, description="port of the endpoint")
    endpoints: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=lambda known: (f"http://127.0.0.1:{known['serving_port']}",),
        description="base URLs of the endpoints to reload, separated by commas; by itself the one "
        "that `movierec up` runs",
    )
    object_store: Address | None = Field(
        default=None,
        validation_alias="MOVIEREC_STORE",
        description="object store that pipeline and endpoints of several machines have in common, "
        "as `s3://bucket/folder`, `gs://…`, `az://…`, or a folder that all of them mount; "
        "credentials are in the variables of its vendor, such as `AWS_ACCESS_KEY_ID`; empty: the "
        "warehouse of this machine is all there is",
    )
    reload_token: SecretStr | None = Field(
        default=None,
        description="token that `POST /reload` and the blocklist ask for; set-up makes one; while "
        "it is empty, both refuse everybody",
    )
    webhook: SecretStr | None = Field(
        default=None,
        description="Slack-compatible address that failed runs and refused days are posted to; it "
        "is kept secret",
    )
    max_rejected_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="a day with a larger share of rejected rows is refused",
    )
    max_chunk_mb: int = Field(
        default=256,
        ge=1,
        description="a delivered file with more megabytes, packed or unpacked, is refused before "
        "it is read",
    )
    max_gone_movies: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="a catalogue from which a larger share of the movies is gone is refused",
    )
    max_surprise: float = Field(
        default=0.2,
        ge=0.01,
        le=1,
        description="a day gives a warning if its share of ratings outside the catalogue, of new "
        "users, of new movies or of popular movies is this far from the usual one",
    )
    drift_days: int = Field(
        default=28,
        ge=7,
        le=366,
        description="days with ratings before a day that say what is usual on one",
    )
    drift_level: float = Field(
        default=0.0003,
        gt=0,
        lt=0.1,
        description="how improbable a day must be by chance, in each of its measures, to give a "
        "warning; larger: more warnings, and more of them false",
    )
    model: Arm = Field(
        default="als",
        description="whose models are registered, judged and served: `als` is implicit ALS, `ease` "
        "is EASE, for up to 10,000 movies",
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
        "settings of ALS and EASE",
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
    ease_regularization: float = Field(
        default=100.0, gt=0, description="EASE: weight of the L2 penalty"
    )
    ease_weighting: str = Field(
        default="power:1",
        pattern=WEIGHTING,
        description="EASE: how stars become the weight of an interaction, as `MOVIEREC_WEIGHTING`",
    )
    factors: int = Field(default=64, ge=1, le=1024, description="ALS: number of latent factors")
    dislike_confidence: float = Field(
        default=2.0,
        ge=0,
        description="how strongly a disliked movie counts against movies like it, where an unseen "
        "one counts 1; 0: stars are never evidence against",
    )
    regularization: float | None = Field(
        default=None,
        gt=0,
        description="ALS: weight of the L2 penalty on factors; empty: by the number of ratings, "
        "0.46 x ratings^(1/3), at most 20",
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
    window_days: int | None = Field(
        default=None, ge=1, description="train on the ratings of this many last days; empty: on all"
    )
    half_life_days: float | None = Field(
        default=None,
        gt=0,
        description="days after which an interaction counts half; empty: it always counts in full",
    )
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="seed of the random factors of a cold fit"
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
    gate: Literal["auto", "manual"] = Field(
        default="auto",
        description="`auto`: a challenger that passes is promoted; `manual`: a person has to "
        "approve it",
    )
    gate_margin: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="share of a reference's NDCG@10 that a challenger may lose and still pass",
    )
    gate_level: float = Field(
        default=0.95,
        gt=0.5,
        lt=1,
        description="how sure the gate must be that no more than the margin is lost, one-sided",
    )
    gate_small_users: int = Field(
        default=400,
        ge=0,
        description="with fewer users to judge by, a whole model that is not shown to be worse is "
        "promoted; 0: every model must be shown not to be worse",
    )
    gate_small_overlap: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="on a small site, share of the served top 10 that must be the evaluated twin's",
    )
    gate_kept_ratings: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="on a small site, share of production's ratings that a model must still hold; "
        "with fewer a person has to approve it",
    )
    gate_residual: float = Field(
        default=0.002,
        gt=0,
        description="on a small site, how far the movies' vectors may be from solving the "
        "equations of the model's own ratings",
    )
    production_days_behind: int = Field(
        default=2,
        ge=0,
        description="accepted days that production may lack before somebody is told",
    )
    keep_versions: int = Field(
        default=30,
        ge=2,
        description="how many of the newest versions a prune leaves whatever they are; production, "
        "what is pinned or served, one version a month, and what these were started from stay too",
    )
    outcome_days: int = Field(
        default=7,
        ge=1,
        le=90,
        description="days after a list was shown in which what the user does counts as its outcome",
    )
    keep_shown_days: int = Field(
        default=180,
        ge=1,
        description="days for which it is kept what each user was shown; the rates stay",
    )
    events_url: SecretStr | None = Field(
        default=None,
        description="`postgresql://` address of the store of events, for several endpoints; empty: "
        "SQLite in the warehouse",
    )
    keep_events_days: int = Field(
        default=400,
        ge=2,
        description="days for which events are kept after they were delivered as ratings",
    )
    keep_seen_days: int = Field(
        default=30,
        ge=1,
        description="days whose accepted ratings the endpoint is told of at once, whatever version "
        "it serves",
    )
    prune: bool = Field(
        default=False,
        description="whether the weekly job removes the versions that nothing needs, or only says "
        "which it would remove",
    )

    @field_validator(
        "partition_end",
        "window_days",
        "half_life_days",
        "regularization",
        "mlflow_tracking_uri",
        "dagster_database",
        "object_store",
        "reload_token",
        "webhook",
        "events_url",
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("mlflow_tracking_uri")
    @classmethod
    def _without_credentials(cls, value: str | None) -> str | None:
        if value and urlsplit(value).password:  # it would be shown in Dagster's UI
            raise ValueError(
                "put a server's user and password into MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, a database's password into PGPASSWORD"
            )
        return value

    @field_validator("mlflow_tracking_uri")
    @classmethod
    def _with_a_driver(cls, value: str | None) -> str | None:
        if value and value.startswith(("postgres://", "postgresql://")):
            # SQLAlchemy takes it for psycopg 3, which is not installed.
            raise ValueError("begin a PostgreSQL database with postgresql+psycopg2://")
        return value

    @field_validator("endpoints", "also_train", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
        return value

    @field_validator("policies", mode="before")
    @classmethod
    def _from_json(cls, value: object) -> object:
        return json.loads(value or "{}") if isinstance(value, str) else value

    @field_validator("policies")
    @classmethod
    def _can_be_trained(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, policy in value.items():
            if not ARM_NAME.fullmatch(name) or name in TAKEN:
                raise ValueError(f"{name!r}: a name is of a-z, 0-9 and _, and none of {TAKEN}")
            for setting, wanted in policy.items():
                if setting not in OF_TRAINING:
                    raise ValueError(f"{name}: {setting} is none of {', '.join(OF_TRAINING)}")
                field = cls.model_fields[setting]
                kind: Any = Annotated[field.annotation, field]
                TypeAdapter(kind).validate_python(wanted)
        return value

    @field_validator("endpoints")
    @classmethod
    def _are_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(url.startswith(("http://", "https://")) for url in value):
            raise ValueError("not all begin with http:// or https://")
        return value

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.partition_end is not None and self.partition_end < self.partition_start:
            raise ValueError("partition_end is before partition_start")
        return self

    @property
    def arms(self) -> tuple[str, ...]:
        """What is trained every day, the served one first."""
        return tuple(dict.fromkeys((self.model, *self.also_train, *self.policies)))

    def of_arm(self, arm: str) -> Self:
        """The settings that an arm is trained by: a policy's, or those of a family."""
        return self.model_copy(update=self.policies.get(arm, {"model": arm}))

    @property
    def warehouse(self) -> Path:
        """Folder of all that the platform writes."""
        return self.home / "warehouse"

    @property
    def mlflow_is_elsewhere(self) -> bool:
        """Whether MLflow's pages are another's to run: all but those of this home's own records,
        or of a database.
        """
        uri = self.mlflow_tracking_uri
        return uri is not None and not uri.startswith("postgresql+")

    @property
    def kept_elsewhere(self) -> tuple[str, ...]:
        """What keeps records of the platform outside its home: no backup and no erasure of ours
        reaches it.
        """
        places = (self.dagster_database, self.mlflow_tracking_uri)
        return tuple(place for place in places if place and not place.startswith("sqlite:"))

    @property
    def events_address(self) -> str | None:
        """PostgreSQL's, where events lie in it."""
        return self.events_url.get_secret_value() if self.events_url else None

    @property
    def tracking_uri(self) -> str:
        """MLflow's address: the server that was set, else SQLite in the warehouse."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.warehouse.resolve() / 'mlflow.db'}"

    @property
    def mlflow_ui(self) -> str:
        """Where a person looks at MLflow: the server that was set, else what `movierec up` runs."""
        served = (self.mlflow_tracking_uri or "").startswith(("http://", "https://"))
        server = str(self.mlflow_tracking_uri).rstrip("/")
        return server if served else f"http://127.0.0.1:{self.mlflow_port}"


@cache
def settings() -> Settings:
    """The settings of this process, read once; those in `.env` are the home's."""
    home = os.environ.get("MOVIEREC_HOME") or "."
    return Settings(_env_file=Path(home).expanduser() / ".env")
