"""Every setting of the pipeline, once. The reference is made from these fields.

Here are the addresses and ports of this home; the rest is beside, a file a subject.
"""

from __future__ import annotations

import os
import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from movierec_assets.settings.entrance import EntranceSettings
from movierec_assets.settings.keeping import KeepingSettings
from movierec_assets.settings.promotion import PromotionSettings
from movierec_assets.settings.stores import StoreSettings
from movierec_assets.settings.training import TrainingSettings
from movierec_serving.common_settings import CommonSettings

SCHEMES = {
    "mlflow_tracking_uri": ("http://", "https://", "sqlite:///", "postgresql+psycopg2://"),
    "webhook": ("http://", "https://"),
    "events_url": ("postgresql://", "postgresql+psycopg2://"),
}


def default_home() -> Path:
    """The checkout: Dagster's home if it is set, else the current folder."""
    return Path(os.environ.get("DAGSTER_HOME") or Path.cwd())


class Settings(
    EntranceSettings,
    TrainingSettings,
    PromotionSettings,
    StoreSettings,
    KeepingSettings,
    CommonSettings,
    BaseSettings,
):
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
    endpoints: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=lambda known: (f"http://127.0.0.1:{known['serving_port']}",),
        description="base URLs of the endpoints to reload, separated by commas; by itself the one "
        "that `movierec up` runs",
    )
    webhook: SecretStr | None = Field(
        default=None,
        description="Slack-compatible address that failed runs and refused days are posted to; it "
        "is kept secret",
    )

    @field_validator(
        "partition_end",
        "window_days",
        "half_life_days",
        "regularization",
        "mlflow_tracking_uri",
        "dagster_database",
        "object_store",
        "landing_bucket",
        "reload_token",
        "webhook",
        "events_url",
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("mlflow_tracking_uri", "dagster_database")
    @classmethod
    def _without_credentials(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        user = parts.username and parts.scheme.startswith("http")  # which may be a token
        if user or parts.password or "password" in parse_qs(parts.query):  # Dagster's UI shows it
            raise ValueError(
                "put a server's user and password into MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, a database's password into PGPASSWORD"
            )
        return value

    @field_validator("endpoints", "also_train", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
        return value

    @field_validator("endpoints")
    @classmethod
    def _are_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or " " in url:
                raise ValueError("not all begin with http:// or https:// and have a host")
            if "@" in parts.netloc:  # they are shown in Dagster's UI
                raise ValueError("an address with a user: the endpoint asks for the token alone")
            if parts.port == 0:  # reading it raises where it is no number or too large
                raise ValueError("port 0 is none")
        return value

    @field_validator("reload_token")
    @classmethod
    def _can_be_sent(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not re.fullmatch("[!-~]([ -~]*[!-~])?", value.get_secret_value()):
            raise ValueError("a header carries ASCII alone, and no blanks at an end")
        return value

    @field_validator(*SCHEMES)
    @classmethod
    def _have_a_scheme(cls, value: Any, info: ValidationInfo) -> Any:
        schemes = SCHEMES[str(info.field_name)]
        address = value.get_secret_value() if isinstance(value, SecretStr) else value
        if address and not address.startswith(schemes):
            raise ValueError(f"expected an address that begins with {' or '.join(schemes)}")
        return value

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.partition_end is not None and self.partition_end < self.partition_start:
            raise ValueError("partition_end is before partition_start")
        return self

    @property
    def warehouse(self) -> Path:
        """Folder of all that the platform writes."""
        return self.home / "warehouse"

    @property
    def mlflow_is_elsewhere(self) -> bool:
        """Whether MLflow is a server, which shows its own pages; those of a database are ours."""
        return (self.mlflow_tracking_uri or "").startswith(("http://", "https://"))

    @property
    def kept_elsewhere(self) -> tuple[str, ...]:
        """What keeps records of the platform outside its home: no backup and no erasure of ours
        reaches it.
        """
        places = (self.dagster_database, self.mlflow_tracking_uri)
        return tuple(place for place in places if place and not place.startswith("sqlite:"))

    @property
    def tracking_uri(self) -> str:
        """MLflow's address: the server that was set, else SQLite in the warehouse."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.warehouse.resolve() / 'mlflow.db'}"

    @property
    def mlflow_ui(self) -> str:
        """Where a person looks at MLflow: the server that was set, else what `movierec up` runs."""
        server = str(self.mlflow_tracking_uri).rstrip("/")
        return server if self.mlflow_is_elsewhere else f"http://127.0.0.1:{self.mlflow_port}"


def env_file() -> Path:
    """The file that settings of the home stand in."""
    return Path(os.environ.get("MOVIEREC_HOME") or ".").expanduser() / ".env"


@cache
def settings() -> Settings:
    """The settings of this process, read once; those in `.env` are the home's."""
    file = env_file()
    try:
        return Settings(_env_file=file)
    except UnicodeDecodeError as error:
        raise OSError(f"{file} is not UTF-8: {error}") from error
