"""How far production is behind the accepted ratings, and why, in a sentence.

A small number is normal: a day's model needs a day. What keeps production back is the newest
verdict's reason, a pin, or a day without a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from movierec_assets.promotion.version import Version


@dataclass(frozen=True)
class ProductionAge:
    """Accepted days whose ratings production has not seen; `why` says what keeps it back."""

    days: int
    why: str

    def __str__(self) -> str:
        if not self.days:
            return "production has seen every accepted day"
        return f"production is {_days(self.days)} behind, because {self.why}"


def production_age(
    production: Version | None, versions: Sequence[Version], accepted: Sequence[str]
) -> ProductionAge:
    """Count the accepted days after production's data, and say why it is so.

    Args:
        production: the version that is served, None if there is none.
        versions: all that are registered.
        accepted: days (ISO) with accepted ratings.
    """
    until = production.data_until if production is not None else ""
    unseen = sorted(day for day in accepted if day > until)
    if not unseen:
        return ProductionAge(0, "")
    if production is not None and production.pinned is not None:
        return ProductionAge(len(unseen), f"version {production.number} is pinned")
    newer = [version for version in versions if version.data_until > until and not version.on_trial]
    newest = max(newer, key=lambda version: (version.data_until, version.number), default=None)
    if newest is None or newest.data_until < unseen[-1]:
        return ProductionAge(len(unseen), f"{unseen[-1]} has no registered model yet")
    return ProductionAge(len(unseen), _why_not(newest))


def _why_not(version: Version) -> str:
    """Why a version with newer data is not production."""
    name = f"version {version.number} ({version.data_until})"
    if version.revoked is not None:
        return f"{name} is revoked: {version.revoked}"
    if version.gate is None:
        return f"{name} has no verdict yet"
    if version.gate == "passed":
        return f"{name} passed and is about to be promoted"
    words = {
        "refused": "is refused",
        "awaiting_approval": "awaits approval",
        "insufficient_data": "has too little data to be judged",
    }
    return f"{name} {words.get(version.gate, version.gate)}: {version.gate_reason}"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
