"""What the gate finds: a question's answer in words and numbers, and the verdict they come to.

The questions themselves are asked in `gate` and, where users are few, in `small_site`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from movierec_assets.promotion.comparison import Comparison
from movierec_assets.promotion.interval import Interval, interval

Decision = Literal["passed", "refused", "insufficient_data", "awaiting_approval"]
# The strictest finding decides, in this order.
AGAINST: tuple[Decision, ...] = ("refused", "insufficient_data", "awaiting_approval")
MIN_POWER = 0.5  # a test that an equally good challenger fails more often than not decides nothing


@dataclass(frozen=True)
class Verdict:
    """What the gate decided about a version, why, and on which numbers."""

    decision: Decision
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """What one question of the gate came to, in words, and its numbers by name."""

    decision: Decision
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Some users by whom a challenger is held against a reference: (B,) NDCG@10 of both.

    Its decision is about these users alone: not worse is proven, not assumed.
    """

    own: NDArray[np.float64]
    other: NDArray[np.float64]
    interval: Interval
    margin: float

    @classmethod
    def of(
        cls, comparison: Comparison, users: NDArray[np.bool_], margin: float, level: float
    ) -> Group:
        """Take the results of some of the comparison's users."""
        own, other = comparison.challenger[users], comparison.reference[users]
        return cls(own, other, interval(own, other, margin=margin, level=level), margin)

    @property
    def decision(self) -> Decision:
        """`insufficient_data` where too few users are the likely cause of an open question."""
        if self.interval.lower > -self.margin:
            return "passed"
        worse = self.interval.upper <= -self.margin
        return "refused" if worse or self.interval.power >= MIN_POWER else "insufficient_data"

    @property
    def numbers(self) -> dict[str, float]:
        users = len(self.own)
        return {
            "users": float(users),
            "challenger_ndcg_at_10": float(self.own.mean()) if users else math.nan,
            "ndcg_at_10": float(self.other.mean()) if users else math.nan,
            "difference": self.interval.difference,
            "lower": self.interval.lower,
            "upper": self.interval.upper,
            "power": self.interval.power,
        }


def strictest(findings: Sequence[Finding]) -> tuple[Decision, str] | None:
    """The decision of the strictest findings with their reasons; None without a finding."""
    for decision in (*AGAINST, "passed"):
        reasons = [finding.reason for finding in findings if finding.decision == decision]
        if reasons:
            return decision, "; ".join(reasons)
    return None


def named(prefix: str, group: Group) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in group.numbers.items()}


def explain(name: str, group: Group, whom: str) -> str:
    """Why a group of users decides as it does."""
    numbers, interval = group.numbers, group.interval
    own, other = numbers["challenger_ndcg_at_10"], numbers["ndcg_at_10"]
    reason = f"NDCG@10 {own:.4f} against {name}'s {other:.4f}"
    if math.isfinite(interval.difference):
        reason += f": {interval.difference:+.1%}, at worst {interval.lower:+.1%}"
    reason += f", of {whom}"
    if group.decision == "refused":
        return f"{reason}, which is below {-group.margin:+.1%}"
    return f"{reason}: too few to tell" if group.decision == "insufficient_data" else reason


def finite(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if math.isfinite(value)}
