"""What a person decides about versions, and why production is what it is, in words.

Decisions are recorded as tags of versions; `policy` reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from movierec_assets.errors import ChangeError
from movierec_assets.promotion.version import Version

# Verdicts that a person may overrule: the gate could not tell, or left it to a person.
APPROVABLE = ("awaiting_approval", "insufficient_data")
Action = Literal["pin", "unpin", "revoke", "unrevoke", "approve"]


@dataclass(frozen=True)
class TagChange:
    """One tag of one version to be set; None takes it away."""

    version: int
    tag: str
    value: str | None


def tag_changes(
    action: Action, number: int, reason: str, versions: Sequence[Version]
) -> list[TagChange]:
    """The tags that record a decision, to be set in this order: a crash between two is harmless.

    pin: this version is production whatever the gate says, until it is unpinned; one is pinned at a
        time.
    revoke: it is not to be production.
    approve: a version that awaits approval, or that too few users could judge, passes the gate.

    Raises:
        ChangeError: no reason, no such version, or nothing there to be undone or approved.
    """
    if not reason.strip():
        raise ChangeError(f"{action} version {number}: say why, the reason is empty")
    version = next((version for version in versions if version.number == number), None)
    if version is None:
        numbers = [version.number for version in versions]
        known = f"{min(numbers)} to {max(numbers)}" if numbers else "none"
        raise ChangeError(f"there is no version {number}: there are {known}")
    refusal = _refusal(action, version)
    if refusal is not None:
        raise ChangeError(f"{action} version {number}: {refusal}")
    if action == "pin":  # the others' first: two pins would leave the newer data in production
        others = [
            other.number for other in versions if other.pinned is not None and other is not version
        ]
        unpin = [TagChange(other, "pinned", None) for other in others]
        return [*unpin, TagChange(number, "pinned", reason)]
    if action == "unpin":
        return [TagChange(number, "pinned", None)]
    if action == "revoke":
        return [TagChange(number, "revoked", reason)]
    if action == "unrevoke":
        return [TagChange(number, "revoked", None)]
    approval = f"approved: {reason} ({version.gate_reason})"
    return [TagChange(number, "gate_reason", approval), TagChange(number, "gate", "passed")]


def why_production(production: Version | None, versions: Sequence[Version]) -> str:
    """Why this version is production, naming what was revoked above it."""
    revoked = [
        f"version {version.number} is revoked: {version.revoked}"
        for version in versions
        if version.revoked is not None
        and (production is None or version.data_until >= production.data_until)
    ]
    if production is None:
        return "; ".join(["no version may be production", *revoked])
    if production.pinned is not None:
        return f"pinned: {production.pinned}"
    newest = f"newest data of the versions that passed: {production.gate_reason}"
    return "; ".join([newest, *revoked])


def _refusal(action: Action, version: Version) -> str | None:
    """Why a version cannot be changed so; None if it can."""
    if action == "pin" and version.revoked is not None:
        return f"it is revoked ({version.revoked}); unrevoke it first"
    if action == "unpin" and version.pinned is None:
        return "it is not pinned"
    if action == "unrevoke" and version.revoked is None:
        return "it is not revoked"
    if action == "approve" and version.gate not in APPROVABLE:
        return f"it does not await approval, its verdict is {version.gate or 'not there yet'}"
    return None
