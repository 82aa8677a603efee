"""A loss, and the words in which one is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RECOVER = "`movierec recover --apply`"


@dataclass(frozen=True)
class Loss:
    """Something that should be in a store and is not, and what makes it whole again."""

    store: str
    missing: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.store}: {self.missing}; {self.remedy}"


def days_of(chunks: Sequence[tuple[str, str]]) -> str:
    return span([day for day, _ in chunks])


def span(days: Sequence[str]) -> str:
    first, last = min(days), max(days)
    return first if first == last else f"{first} to {last}"
