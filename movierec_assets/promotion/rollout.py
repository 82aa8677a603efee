"""When production is to be deployed to endpoints that serve something else, and when to wait."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Self

FIRST_PAUSE_S = 5.0  # after the first attempt; it doubles with each
LONGEST_PAUSE_S = 300.0  # between attempts at an endpoint that stays down


@dataclass(frozen=True)
class Endpoints:
    """What was seen of the endpoints: why each that does not serve production does not, by URL."""

    differ: Mapping[str, str]
    down: frozenset[str] = frozenset()  # of these, the ones that did not answer

    @property
    def why(self) -> str:
        return "; ".join(self.differ.values())


@dataclass(frozen=True)
class Attempts:
    """How often a version was tried. A sensor keeps it as its cursor, across restarts."""

    version: int | None = None
    attempt: int = 0
    not_before: float = 0.0  # seconds since 1970, of the next attempt
    down: tuple[str, ...] = ()

    @classmethod
    def loads(cls, cursor: str | None) -> Self:
        """Read a cursor; without one nothing was tried."""
        known = json.loads(cursor or "{}")
        return cls(**{**known, "down": tuple(known.get("down", ()))})

    def dumps(self) -> str:
        """A cursor, never an empty one: Dagster keeps the old cursor for one that is falsy."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Settled:
    """Every endpoint serves production."""

    after: int  # attempts, of which all but the last failed; 0 if there were none


@dataclass(frozen=True)
class Wait:
    """Nothing is to be done before `until` (seconds since 1970)."""

    until: float
    why: str


@dataclass(frozen=True)
class Attempt:
    """A deployment is to be asked for."""

    number: int


def next_step(
    attempts: Attempts, version: int, seen: Endpoints, now: float
) -> tuple[Settled | Wait | Attempt, Attempts]:
    """What to do about the endpoints, and what to remember of it.

    Pauses double, and no attempt is the last. A new version does not wait for the pause of the one
    before. An endpoint that answers again is tried at once: to wait is for causes that cannot be
    seen from here.

    Args:
        version: production.
        now: seconds since 1970.
    """
    same = attempts.version == version
    if not seen.differ:
        return Settled(attempts.attempt), Attempts()
    back = set(attempts.down) - seen.down
    if same and now < attempts.not_before and not back:
        kept = replace(attempts, down=tuple(sorted(seen.down)))
        return Wait(attempts.not_before, seen.why), kept
    number = attempts.attempt + 1 if same else 1
    pause = min(FIRST_PAUSE_S * 2 ** min(number - 1, 10), LONGEST_PAUSE_S)
    return Attempt(number), Attempts(version, number, now + pause, tuple(sorted(seen.down)))
