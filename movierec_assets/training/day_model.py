"""What is recorded about the model of a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class DayModel:
    """The model of a day; `identity` is None while no rating has been accepted.

    Attributes:
        fit: cold or warm; inherited on a day without ratings, none before the first one.
        arm: whose model it is, of those that are trained side by side.
    """

    day: str
    identity: str | None
    parent: str | None
    fit: str
    data_until: str | None
    partitions_digest: str | None
    metrics: Mapping[str, float]
    arm: str = "als"
