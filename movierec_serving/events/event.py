"""One event: one thing that a user did. What it says is `types.py`'s."""

import hashlib
import json
from typing import NamedTuple, Self


class Event(NamedTuple):
    """`value` is what its type says, stars or a share; `timestamp` is in seconds since 1970.

    The fields are the store's columns, in their order. What is sent is checked by `http/schemas/`.
    """

    event_id: str
    user_id: str
    movie_id: str
    type: str
    value: float | None
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
        id_ = event_id or derived_id(user_id, movie_id, type, value, timestamp)
        return cls(id_, user_id, movie_id, type, value, timestamp, recommendation_id)


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
