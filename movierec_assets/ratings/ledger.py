"""What is recorded of a day: its chunks, the verdict on each, and what its ratings look like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from movierec_assets.ratings.validation import Outcome

DEFAULT_SOURCE = "ratings"  # what needs no declaration


@dataclass(frozen=True)
class Chunk:
    """One row of the ledger.

    Attributes:
        current: whether it is the accepted chunk that the day's ratings of its source are from.
        schema_version: of the rules that judged it, None while none did.
        data_version: names what its accepted rows are, as models record it.
        mended: rows whose id was written otherwise than it is kept, by kind.
    """

    day: str
    source: str
    sha256: str
    file: str
    declaration: str | None
    current: bool
    verdict: str | None
    reason: str | None
    schema_version: str | None
    data_version: str | None
    max_rejected_share: float | None
    rows: int
    validated: int
    rejected: int
    superseded: int
    late: int
    mended: Mapping[str, int] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """Its source as the beginning of what is said of it; nothing for the default one."""
        return "" if self.source == DEFAULT_SOURCE else f"{self.source}: "

    @property
    def unreadable(self) -> bool:
        """Whether it was refused as a whole, before any row could be judged."""
        return self.verdict == "refused" and self.schema_version is None


def by_source(chunks: Iterable[Chunk]) -> dict[str, list[Chunk]]:
    """A day's chunks by their source, each in order of arrival."""
    ordered = sorted(chunks, key=attrgetter("source"))  # stable: the order of arrival stays
    return {source: list(some) for source, some in groupby(ordered, attrgetter("source"))}


def in_force(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Of a day's chunks, the current one of each source; the last delivered where none is."""
    return [
        next((chunk for chunk in some if chunk.current), some[-1])
        for some in by_source(chunks).values()
    ]


def held(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Of a day's chunks, those whose rows are in the tables: of each source the current one, and
    the last delivered if it could be read.
    """
    return [
        chunk
        for some in by_source(chunks).values()
        for chunk in some
        if chunk.current or (chunk is some[-1] and not chunk.unreadable)
    ]


@dataclass(frozen=True)
class Judgement:
    """What validation found in a chunk, and the verdict on it with its reason."""

    outcome: Outcome
    verdict: str
    reason: str | None
    max_rejected_share: float
    data_version: str


@dataclass(frozen=True)
class DaySummary:
    """A day's validated ratings in numbers; `stars` and `reasons` (of the rejected) are counts."""

    users: int = 0
    movies: int = 0
    not_in_catalogue: int = 0
    mean: float | None = None
    stars: dict[float, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)


def data_version(chunk: Chunk, outcome: Outcome) -> str:
    """Name what a chunk's accepted rows are: its bytes, the rules, and a declaration if it has one.

    Of the default source without a declaration it is `<sha256>/<schema version>`; of another also
    `/<source>/<digest of the declaration>`.
    """
    version = f"{chunk.sha256}/{outcome.schema_version}"
    if chunk.declaration is None and chunk.source == DEFAULT_SOURCE:
        return version
    return f"{version}/{chunk.source}/{chunk.declaration or ''}"
