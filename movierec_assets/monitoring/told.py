"""What somebody was told of, so that each trouble is told once.

A trouble has a name, which says what is in trouble, and a cause. It is told when it is new, and
again when its cause is another one; that it is over can be told, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

REFUSED = "refused"  # the cause of a chunk's trouble: what was wrong with it is in the ledger


@dataclass(frozen=True)
class Told:
    """The troubles that were told of, each with its cause by its name."""

    troubles: Mapping[str, str] = field(default_factory=dict)

    def news(self, now: Mapping[str, str]) -> list[str]:
        """The names of the troubles of this moment that are to be told."""
        return [name for name, cause in now.items() if self.troubles.get(name) != cause]

    def over(self, now: Mapping[str, str]) -> list[str]:
        """The names of the troubles that were told of and are no more."""
        return [name for name in self.troubles if name not in now]

    @classmethod
    def loads(cls, cursor: str | None) -> Self:
        """Read a sensor's cursor; without one nobody was told of anything."""
        known = json.loads(cursor or "{}")
        if isinstance(known, list):  # as 0.2.0 kept it: the names of refused chunks
            known = dict.fromkeys(known, REFUSED)
        return cls(known)

    def dumps(self) -> str:
        """A sensor's cursor, never an empty one: Dagster would keep the old one instead."""
        return json.dumps(dict(self.troubles), sort_keys=True)
