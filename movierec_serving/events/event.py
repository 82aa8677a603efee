"""One event: one thing that a user did. What it says is `types.py`'s."""

import hashlib
import json
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field


class Event(BaseModel):
    """`value` is what its type says, stars or a share; `timestamp` is in seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    event_id: str = Field(min_length=1, max_length=128)
    user_id: str
    movie_id: str
    type: str
    value: float | None = None
    timestamp: int
    recommendation_id: str | None = None

    @classmethod
    def of(
        cls,
        user_id: str,
        movie_id: str,
        type: str,  # noqa: A002 - the field's name
        value: float | None = None,
        *,
        timestamp: int,
        event_id: str | None = None,
        recommendation_id: str | None = None,
    ) -> Self:
        """An event whose id is derived if it has none, so that the same one is the same twice."""
        return cls(
            event_id=event_id or derived_id(user_id, movie_id, type, value, timestamp),
            user_id=user_id,
            movie_id=movie_id,
            type=type,
            value=value,
            timestamp=timestamp,
            recommendation_id=recommendation_id,
        )


class KeptEvent(NamedTuple):
    """An event as the store has it.

    `received_at` is in seconds since 1970; `delivery` is the day (ISO) whose chunk has it, None
    while none has, and `data_version` names that chunk as models record it, once it is accepted.
    """

    event: Event
    received_at: int
    removed: bool
    delivery: str | None
    data_version: str | None = None


def derived_id(user_id: str, movie_id: str, type_: str, value: float | None, timestamp: int) -> str:
    """32 hex digits of a hash of what was done."""
    said = json.dumps([user_id, movie_id, type_, value, timestamp])
    return hashlib.sha256(said.encode()).hexdigest()[:32]
