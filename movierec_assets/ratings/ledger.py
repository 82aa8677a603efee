"""What is recorded of a day: its chunks, the verdict on it, and what its ratings look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from movierec_assets.ratings.validation import Outcome


@dataclass(frozen=True)
class Chunk:
    """One row of the ledger."""

    day: str
    sha256: str
    file: str
    current: bool
    verdict: str | None
    reason: str | None
    schema_version: str | None
    max_rejected_share: float | None
    rows: int
    validated: int
    rejected: int
    superseded: int
    late: int


def effective(chunks: Sequence[Chunk]) -> Chunk:
    """Of a day's chunks, the one whose rows are the day's; the last one delivered while none could
    be read.
    """
    return next((one for one in chunks if one.current), chunks[-1])


@dataclass(frozen=True)
class Judgement:
    """What validation found in a chunk, and the day's verdict with its reason."""

    outcome: Outcome
    verdict: str
    reason: str | None
    max_rejected_share: float


@dataclass(frozen=True)
class DaySummary:
    """Of a day's validated ratings; `stars` and `reasons` (of the rejected) are counts."""

    users: int = 0
    movies: int = 0
    not_in_catalogue: int = 0
    mean: float | None = None
    stars: dict[float, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
