"""What an operator asks an endpoint: health, the model that is served, reloads, the blocklist."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from movierec_serving.http.schemas.experiments import RunningExperiment
from movierec_serving.http.schemas.ids import MAX_VERSION


class OpenModel(BaseModel):
    process: str = Field(description="api-N or worker", examples=["api-0"])
    pid: int = Field(examples=[4711])
    version: int = Field(description="0 for none; follows as a request arrives", examples=[14])


class LastReload(BaseModel):
    at: str = Field(description="UTC", examples=["1998-04-23T00:31:05+00:00"])
    version: int = Field(examples=[14])
    result: Literal["changed", "unchanged", "missing", "refused", "busy"]
    seconds: float = Field(examples=[0.21])
    cause: str | None = Field(description="why not, if it was not", examples=[None])


class ModelInfo(BaseModel):
    version: int = Field(examples=[14])
    data_until: str = Field(examples=["1998-04-22"])
    identity: str = Field(description="digest of all that decided the model", examples=["9f2c…"])
    format_version: int = Field(examples=[1])
    pid: int = Field(description="the process that answered", examples=[4711])
    processes: list[OpenModel] = Field(description="what each process has open")
    last_reload: LastReload | None = Field(description="null before the first")
    experiment: RunningExperiment | None = Field(description="null where there is none")


class Alive(BaseModel):
    status: Literal["ok"] = Field(examples=["ok"])


class Health(Alive):
    version: int = Field(examples=[14])


class ReloadRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"version": 14}]})

    version: int = Field(
        strict=True, ge=1, le=MAX_VERSION, description="a published one", examples=[14]
    )


class ReloadAnswer(BaseModel):
    version: int = Field(
        description="the version served from now on, by every process", examples=[14]
    )
    previous: int | None = Field(description="the version before, if any", examples=[13])
    changed: bool = Field(examples=[True])


class Blocked(BaseModel):
    movie_id: str = Field(examples=["50"])
    blocked: bool = Field(examples=[True])
    changed: bool = Field(examples=[True])
