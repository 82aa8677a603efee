"""Bodies of requests and answers, as OpenAPI shows them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from movierec_serving.bundle import TOP_N

MAX_VERSION = 2**63 - 1

UserId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        pattern=r"^[^\x00]*$",
        description="the user's external id",
        examples=["196"],
    ),
]
Count = Annotated[int, Field(ge=1, le=TOP_N, description="how many movies", examples=[10])]


class RecommendRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"user_id": "196", "n": 10}]})

    user_id: UserId
    n: Annotated[Count, Field(strict=True)] = 10


class RecommendedMovie(BaseModel):
    movie_id: str = Field(examples=["50"])
    title: str | None = Field(description="null where the catalogue has none", examples=["Star Wars (1977)"])
    genres: list[str] = Field(examples=[["Action", "Adventure", "Sci-Fi"]])
    score: float = Field(
        description="als: inner product of factors; popular: number of ratings", examples=[0.973]
    )
    source: Literal["als", "popular"]


class Recommendations(BaseModel):
    user_id: str = Field(examples=["196"])
    model_version: int = Field(description="the registry's version", examples=[14])
    data_until: str = Field(description="the last day the model has seen", examples=["1998-04-22"])
    source: Literal["als", "popular"]
    fallback_reason: Literal["unknown_user"] | None = Field(
        None, description="why these are not the user's own; absent where they are"
    )
    items: list[RecommendedMovie] = Field(description="best first, without what the user has rated")


class ModelInfo(BaseModel):
    version: int = Field(examples=[14])
    data_until: str = Field(examples=["1998-04-22"])
    identity: str = Field(description="digest of all that decided the model", examples=["9f2c…"])
    format_version: int = Field(examples=[1])
    pid: int = Field(description="the process that answered", examples=[4711])


class Health(BaseModel):
    status: Literal["ok"] = "ok"
    version: int = Field(examples=[14])


class ReloadRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"version": 14}]})

    version: int = Field(
        strict=True, ge=1, le=MAX_VERSION, description="a published version, older ones included"
    )


class ReloadAnswer(BaseModel):
    version: int = Field(description="the version served from now on, by every process", examples=[14])
    previous: int | None = Field(description="the version before, if any", examples=[13])
    changed: bool


class Problem(BaseModel):
    detail: str = Field(examples=["no model version has been deployed yet"])


class FieldProblem(BaseModel):
    loc: list[str | int] = Field(
        description="where: body, query or path, then the field", examples=[["query", "n"]]
    )
    msg: str = Field(examples=["Input should be less than or equal to 100"])
    type: str = Field(examples=["less_than_equal"])


class InvalidRequest(BaseModel):
    detail: list[FieldProblem]
