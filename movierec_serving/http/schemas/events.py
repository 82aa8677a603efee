"""Events as they are sent, acknowledged, listed and removed."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from movierec_serving.http.schemas.ids import MAX_MANY, MovieId, UserId

NO_NUL = r"^[^\x00]*$"  # which PostgreSQL keeps in no text
EventId = Annotated[str, Field(min_length=1, max_length=128, pattern=NO_NUL, examples=["7c1f0e"])]


@with_config(ConfigDict(extra="forbid", strict=True))
class EventIn(TypedDict):
    """One thing that a user did."""

    event_id: NotRequired[Annotated[EventId, Field(description="derived where there is none")]]
    user_id: UserId
    movie_id: MovieId
    type: Annotated[
        str,
        Field(
            max_length=64,
            description="`rating`, `like`, `dislike`, `play`, `click`, `dismiss`, `remove`, or a "
            "declared one",
            examples=["rating"],
        ),
    ]
    value: NotRequired[
        Annotated[
            float | None,
            Field(
                allow_inf_nan=False,
                description="of a rating, stars; of a play, the share that was watched; else none",
                examples=[4.5],
            ),
        ]
    ]
    timestamp: NotRequired[
        Annotated[
            int,
            Field(
                ge=0,
                description="seconds since 1970; now where there is none",
                examples=[893286638],
            ),
        ]
    ]
    recommendation_id: NotRequired[
        Annotated[
            str | None,
            Field(max_length=128, pattern=NO_NUL, description="of the list that the user acted on"),
        ]
    ]


EVENT: TypeAdapter[EventIn] = TypeAdapter(EventIn)


class EventsRequest(BaseModel):
    """Things that users did, in any order."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"events": [{"user_id": "196", "movie_id": "50", "type": "rating", "value": 4.5}]}
            ]
        },
    )

    events: list[Any] = Field(  # a wrong one gets its own error
        min_length=1, max_length=MAX_MANY, description="each as one event alone"
    )


class EventKept(BaseModel):
    index: int = Field(description="of the event in the request", examples=[0])
    event_id: str = Field(examples=["7c1f0e"])
    status: Literal["kept", "known"] = Field(description="known: it was kept before")


class EventRefused(BaseModel):
    index: int = Field(description="of the event in the request", examples=[1])
    error: str = Field(examples=["value: expected stars, 0.5 to 5 in halves, for the type rating"])


class EventResults(BaseModel):
    results: list[EventKept | EventRefused] = Field(description="in the order of the request")


class UserEvent(BaseModel):
    event_id: str = Field(examples=["7c1f0e"])
    user_id: str = Field(examples=["196"])
    movie_id: str = Field(examples=["50"])
    type: str = Field(examples=["rating"])
    value: float | None = Field(description="stars or a share, where the type has one")
    timestamp: int = Field(description="seconds since 1970", examples=[893286638])
    recommendation_id: str | None = Field(description="of the list that the user acted on")
    received_at: int = Field(description="seconds since 1970", examples=[893286640])
    delivered: str | None = Field(
        description="the day whose chunk has it; null while none has", examples=["1998-04-22"]
    )


class UserEvents(BaseModel):
    user_id: str = Field(examples=["196"])
    total: int = Field(description="events of the user", examples=[3])
    items: list[UserEvent] = Field(description="the newest first")


class EventRemoved(BaseModel):
    event_id: str = Field(examples=["7c1f0e"])
    removed: bool = Field(examples=[True])
