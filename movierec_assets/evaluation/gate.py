"""The gate: the test a challenger must pass, and which version is production after it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Decision = Literal["passed", "refused", "insufficient_data", "awaiting_approval"]


@dataclass(frozen=True)
class Verdict:
    """What the gate decided about a version, why, and on which numbers."""

    decision: Decision
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)


def judge(metrics: Mapping[str, float]) -> Verdict:
    """Judge a challenger by its twin's metrics: finite, of enough users, and above popularity.

    Args:
        metrics: of `evaluate`: ndcg_at_10, popularity_ndcg_at_10, users, ...
    """
    broken = sorted(name for name, value in metrics.items() if not math.isfinite(value))
    if broken:
        return Verdict("refused", f"not finite: {', '.join(broken)}", metrics)
    if not metrics.get("users"):
        return Verdict("insufficient_data", "no user has a relevant rating in the holdout", metrics)
    own, popularity = metrics["ndcg_at_10"], metrics["popularity_ndcg_at_10"]
    if own <= popularity:
        return Verdict("refused", f"NDCG@10 {own:.4f} is not above popularity's {popularity:.4f}", metrics)
    return Verdict("passed", f"NDCG@10 {own:.4f} is above popularity's {popularity:.4f}", metrics)


@dataclass(frozen=True)
class Candidate:
    """What decides whether a version is to be production."""

    version: int
    data_until: str
    gate: str | None
    revoked: bool = False
    pinned: bool = False


def desired_production(versions: Sequence[Candidate]) -> int | None:
    """The pinned version, else the newest `data_until` (then highest number) that passed and is not revoked."""
    pinned = [one for one in versions if one.pinned and not one.revoked]
    eligible = pinned or [one for one in versions if one.gate == "passed" and not one.revoked]
    best = max(eligible, key=lambda one: (one.data_until, one.version), default=None)
    return None if best is None else best.version
