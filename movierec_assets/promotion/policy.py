"""Which version is production, and which versions a challenger is compared with.

Only what is recorded about versions decides, so that any process comes to the same answer. What a
person changes by hand is in `decisions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """What decides whether a version is to be production."""

    version: int
    data_until: str
    gate: str | None
    revoked: bool = False
    pinned: bool = False
    fit: str | None = None

    @property
    def eligible(self) -> bool:
        """Whether it passed the gate and nobody took it back."""
        return self.gate == "passed" and not self.revoked


def desired_production(versions: Sequence[Candidate]) -> int | None:
    """The pinned version, else the newest `data_until` (then highest number) that is eligible."""
    pinned = [version for version in versions if version.pinned and not version.revoked]
    eligible = [version for version in versions if version.eligible]
    return _newest(pinned or eligible)


def references(challenger: Candidate, versions: Sequence[Candidate]) -> dict[str, int]:
    """The versions a challenger is compared with: `production` and `anchor`, where there are any.

    Production is the newest eligible one whose data ends before the challenger's: a verdict does
    not depend on what came after. The anchor is the newest cold one of them, fixed for a month: a
    chain of small losses, each within the margin, ends there. Where a family knows no warm fit, all
    are cold, and the anchor is the first of the month that follow each other. It is left out where
    it is production itself.
    """
    earlier = [
        version
        for version in versions
        if version.eligible and version.data_until < challenger.data_until
    ]
    production = _newest(earlier)
    anchor = _anchor(earlier)
    named = {"production": production, "anchor": None if anchor == production else anchor}
    return {name: number for name, number in named.items() if number is not None}


def _anchor(versions: Sequence[Candidate]) -> int | None:
    """The newest cold version, or the first of those before it in its month that are all cold."""
    anchor: Candidate | None = None
    for version in sorted(versions, key=_age, reverse=True):
        another_month = anchor and version.data_until[:7] != anchor.data_until[:7]
        if anchor and (another_month or version.fit != "cold"):
            break
        if version.fit == "cold":
            anchor = version
    return None if anchor is None else anchor.version


def _newest(versions: Sequence[Candidate]) -> int | None:
    newest = max(versions, key=_age, default=None)
    return None if newest is None else newest.version


def _age(version: Candidate) -> tuple[str, int]:
    """A key that orders versions by their data, then by their number."""
    return version.data_until, version.version
