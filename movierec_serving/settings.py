"""The endpoint's settings, from the environment or `.env`, prefix MOVIEREC_."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from movierec_serving.bundle.shard import Shard
from movierec_serving.common_settings import CommonSettings
from movierec_serving.logs import LogFormat


def _shard(given: object) -> object:
    return Shard.parsed(given) if isinstance(given, str) and given else given or None


class ServingSettings(CommonSettings, BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="MOVIEREC_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        validate_by_alias=True,
        validate_by_name=True,
    )

    home: Path = Field(
        default_factory=Path.cwd,
        validation_alias=AliasChoices("MOVIEREC_HOME", "DAGSTER_HOME"),
        description="the folder that holds warehouse/",
    )
    # What LitServe accepts.
    serving_host: Literal["127.0.0.1", "0.0.0.0", "::"] = Field(  # noqa: S104
        "127.0.0.1", description="the interface to listen on; loopback unless told otherwise"
    )
    serving_api_processes: int = Field(2, ge=1, le=64, description="processes that answer GET")
    serving_workers: int = Field(
        1,
        ge=1,
        le=64,
        description="LitServe workers, which answer `POST /recommend` for many users",
    )
    app: Literal["on", "off"] = Field(
        "on", description="whether the pages for people are there, at `/app`"
    )
    api_keys: SecretStr | None = Field(
        None,
        description="keys, separated by commas; routes about movies and users ask for one of them "
        "in `X-API-Key`; empty: no key is asked for",
    )
    shard: Annotated[Shard | None, NoDecode, BeforeValidator(_shard)] = Field(
        None,
        description="the part of the users that this endpoint holds, as `2/4`, where "
        "`MOVIEREC_SHARDS` cuts versions into so many; empty: all users",
    )
    shown_share: float = Field(
        1.0,
        ge=0,
        le=1,
        description="share of the users of whom it is written down what they were shown, always "
        "the same ones; 0: nothing is written",
    )
    explore_share: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="share of the places of a user's list that go to movies that nobody has rated, "
        "by the user's taste; it is written down which, so only where lists are; "
        "0: no place does",
    )
    trace_share: float = Field(
        0.02,
        ge=0,
        le=1,
        description="share of the requests that are traced, where `OTEL_EXPORTER_OTLP_ENDPOINT` "
        "names a collector; a request with `traceparent` is traced if its caller's trace is kept",
    )
    log_format: LogFormat = Field(
        "auto",
        description="`json`: a JSON object a line; `text`: for a person; `auto`: text at a "
        "terminal, else JSON",
    )

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @model_validator(mode="after")
    def _parts_are_shared(self) -> Self:
        if self.shard is not None and self.object_store is None:
            raise ValueError("MOVIEREC_SHARD needs MOVIEREC_STORE: parts are brought from there")
        if self.shard is not None and self.app == "on":
            raise ValueError("MOVIEREC_SHARD needs MOVIEREC_APP=off: pages are for all users")
        return self

    @property
    def store(self) -> Path:
        """Where published versions lie; parts beside whole ones, which the pipeline may keep."""
        part = f"-{self.shard.number}-of-{self.shard.count}" if self.shard else ""
        return self.home / "warehouse" / f"models{part}"

    @property
    def shown(self) -> Path:
        """Where it is written down what was shown."""
        return self.home / "warehouse" / "shown"

    @property
    def events(self) -> Path:
        """Where events lie, unless `events_url` says otherwise, and who did something lately."""
        return self.home / "warehouse" / "events"

    @property
    def declarations(self) -> Path:
        """Where sources are declared, and types of events."""
        return self.home / "warehouse" / "sources"

    @property
    def pointer(self) -> Path:
        """The committed version of the endpoint on this port; what else this endpoint keeps lies
        beside it.
        """
        return self.store / f".serving-{self.serving_port}"
