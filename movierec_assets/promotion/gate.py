"""The gate: the test a challenger must pass, and which version is production after it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from movierec_assets.promotion.comparison import Comparison

Decision = Literal["passed", "refused", "insufficient_data", "awaiting_approval"]
MIN_USERS = 20  # below it a bootstrap's quantiles are not to be trusted
MIN_POWER = 0.5  # a test that an equally good challenger fails more often than not decides nothing
MIN_COVERAGE = 0.5  # of the reference's
# Of the served top 10 with its twin's, and of what is usual; docs/benchmarks.md has the simulation.
MIN_OVERLAP, KEPT_OVERLAP = 0.5, 0.9
# Of the NDCG@10 that production had on the holdout of its own day: below it the ratings have
# changed, not the model. Healthy days of MovieLens 100k with 100 users keep 0.93 at least;
# docs/benchmarks.md has what others keep.
MIN_KEPT, KEPT_IF_APPROVED, KEPT_USERS = 0.5, 0.9, 100
RESAMPLES = 1000


@dataclass(frozen=True)
class Verdict:
    """What the gate decided about a version, why, and on which numbers."""

    decision: Decision
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Interval:
    """The challenger's mean NDCG@10 over a reference's, minus 1, with one-sided bounds at the
    gate's level.

    Without enough users, or without a hit of the reference's, anything is possible: infinite
    bounds, no power.
    """

    difference: float
    lower: float
    upper: float
    power: float  # probability that an equally good challenger passes


def interval(
    own: NDArray[np.float64], other: NDArray[np.float64], *, margin: float, level: float
) -> Interval:
    """Paired bootstrap over users of the relative difference of (B,) NDCG@10, by percentiles.

    "The lower bound is above -margin" is the non-inferiority test of mean(challenger) against (1 -
    margin) x mean(reference), in which the reference's mean varies, too. The power is of its normal
    approximation. The resamples are the same in each call: a verdict can be recomputed.
    """
    users = len(own)
    if users < MIN_USERS or not other.any():
        return Interval(math.nan, -math.inf, math.inf, 0.0)
    random = np.random.default_rng(0)
    sums = np.empty((RESAMPLES, 2))
    both = np.stack([own, other], axis=1)
    for row in sums:
        both[random.integers(users, size=users)].sum(axis=0, out=row)
    mine, theirs = sums.T / users
    with np.errstate(
        divide="ignore", invalid="ignore"
    ):  # a resample may hold no hit of the reference's
        ratios = np.nan_to_num(mine / theirs, nan=1.0, posinf=math.inf) - 1
    lower, upper = np.quantile(ratios, [1 - level, level], method="nearest")
    error = float((own - (1 - margin) * other).std(ddof=1)) / math.sqrt(users)
    normal = NormalDist()
    room = margin * float(other.mean())
    power = normal.cdf(room / error - normal.inv_cdf(level)) if error else 1.0
    return Interval(float(own.mean() / other.mean() - 1), float(lower), float(upper), power)


def judge(
    metrics: Mapping[str, float],
    comparisons: Mapping[str, Comparison],
    overlap: float,
    *,
    margin: float,
    level: float,
    manual: bool = False,
    before: float | None = None,
    usual: float | None = None,
) -> Verdict:
    """Judge a challenger: sane by itself, and not worse than each reference by more than the
    margin.

    Not worse is proven, not assumed: the one-sided lower bound of the relative difference of
    NDCG@10 must be above -margin. If it is not, and too few users are the likely cause, the verdict
    is `insufficient_data`.

    Args:
        metrics: of `evaluate`: ndcg_at_10, popularity_ndcg_at_10, users, ...
        comparisons: by the reference's name; none for a first version, which the sanity checks
            alone decide.
        overlap: of the served bundle's top 10 with its twin's.
        margin: share of the reference's mean.
        level: of the one-sided bound, such as 0.95.
        manual: what would pass awaits approval.
        before: production's NDCG@10 on the holdout of its own day. Nonsense is also in the holdout,
            on which all models are equally bad: a challenger far below `before` is refused, and one
            below it by more than days differ awaits approval, since it may be that other people
            have come.
        usual: production's overlap, if its parameters are the same. With clearly less a challenger
            awaits approval: the served model may be broken, and its twin, which is evaluated,
            whole.
    """
    numbers = {**metrics, "overlap": overlap}
    if refusal := _insane(numbers):
        return Verdict("refused", refusal, _finite(numbers))
    if metrics.get("users", 0) < MIN_USERS:
        users = f"{metrics.get('users', 0):.0f} users with a relevant rating in the holdout"
        return Verdict("insufficient_data", f"{users}, {MIN_USERS} are needed", numbers)
    judged = [_against(name, one, margin, level, numbers) for name, one in comparisons.items()]
    judged += _unlike(metrics, before) + _apart(numbers, usual)
    for decision in ("refused", "insufficient_data", "awaiting_approval"):
        if reasons := [reason for kind, reason in judged if kind == decision]:
            return Verdict(decision, "; ".join(reasons), _finite(numbers))
    above = (
        f"NDCG@10 {metrics['ndcg_at_10']:.4f} is above popularity's "
        f"{metrics['popularity_ndcg_at_10']:.4f}"
    )
    reason = (
        "; ".join(reason for _, reason in judged) or f"{above}, and there is no earlier version"
    )
    return Verdict("awaiting_approval" if manual else "passed", reason, _finite(numbers))


def _unlike(metrics: Mapping[str, float], before: float | None) -> list[tuple[Decision, str]]:
    """What the holdout itself says against the day's ratings, if anything."""
    if (
        not before
        or metrics["users"] < KEPT_USERS
        or metrics["ndcg_at_10"] >= KEPT_IF_APPROVED * before
    ):
        return []
    found = (
        f"NDCG@10 {metrics['ndcg_at_10']:.4f} on this holdout, and production had "
        f"{before:.4f} on its own"
    )
    found += ": the newest ratings are unlike those before; repair the day, or"
    if metrics["ndcg_at_10"] < MIN_KEPT * before:
        return [("refused", f"{found} pin")]
    return [("awaiting_approval", f"{found} approve")]


def _apart(numbers: Mapping[str, float], usual: float | None) -> list[tuple[Decision, str]]:
    """Whether what is served is further from what was evaluated than production is."""
    if usual is None or numbers["users"] < KEPT_USERS or numbers["overlap"] >= KEPT_OVERLAP * usual:
        return []
    found = (
        f"{numbers['overlap']:.0%} of the served top 10 are the evaluated twin's, of "
        f"production's {usual:.0%}"
    )
    return [("awaiting_approval", found)]


def _against(
    name: str, one: Comparison, margin: float, level: float, numbers: dict[str, float]
) -> tuple[Decision, str]:
    """The decision about one reference, its reason, and its figures into `numbers`.

    The users that the reference knows decide: a flood of new accounts must not. While they are too
    few to tell, and not proven to be worse off, all users do: a young production must not stay for
    lack of its own users.
    """
    numbers[f"{name}_leaked_ratings"] = float(one.leaked)
    if one.challenger_coverage < MIN_COVERAGE * one.reference_coverage:
        less = (
            f"shows {one.challenger_coverage:.1%} of the movies, {name} "
            f"{one.reference_coverage:.1%}"
        )
        return "refused", less
    reason = ""
    for group, chosen in (("", one.known), ("all_", np.ones(len(one.known), bool))):
        own, other = one.challenger[chosen], one.reference[chosen]
        found = interval(own, other, margin=margin, level=level)
        figures = {
            "users": float(len(own)),
            "challenger_ndcg_at_10": float(own.mean()) if len(own) else math.nan,
            "ndcg_at_10": float(other.mean()) if len(own) else math.nan,
            **{
                key: float(getattr(found, key)) for key in ("difference", "lower", "upper", "power")
            },
        }
        numbers |= {f"{name}_{group}{key}": value for key, value in figures.items()}
        whom = f"{len(own)} users{' (new ones included)' if group else f' that {name} knows'}"
        reason = (
            f"NDCG@10 {figures['challenger_ndcg_at_10']:.4f} against {name}'s "
            f"{figures['ndcg_at_10']:.4f}"
        )
        if math.isfinite(found.difference):
            reason += f": {found.difference:+.1%}, at worst {found.lower:+.1%}"
        reason += f", of {whom}"
        if found.lower > -margin:
            return "passed", reason
        if found.power >= MIN_POWER or found.upper <= -margin:
            return "refused", f"{reason}, which is below {-margin:+.1%}"
    return "insufficient_data", f"{reason}: too few to tell"


def _finite(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _insane(numbers: Mapping[str, float]) -> str | None:
    """What is wrong with a challenger by itself, if anything."""
    broken = sorted(name for name, value in numbers.items() if not math.isfinite(value))
    if broken:
        return f"not finite: {', '.join(broken)}"
    if numbers["overlap"] < MIN_OVERLAP:
        return (
            f"{numbers['overlap']:.0%} of the served top 10 are the evaluated twin's, "
            f"{MIN_OVERLAP:.0%} are needed"
        )
    own, popularity = numbers.get("ndcg_at_10", 0.0), numbers.get("popularity_ndcg_at_10", 0.0)
    if numbers.get("users", 0) >= MIN_USERS and own <= popularity:
        return f"NDCG@10 {own:.4f} is not above popularity's {popularity:.4f}"
    return None


@dataclass(frozen=True)
class Candidate:
    """What decides whether a version is to be production."""

    version: int
    data_until: str
    gate: str | None
    revoked: bool = False
    pinned: bool = False
    fit: str | None = None


def references(challenger: Candidate, versions: Sequence[Candidate]) -> dict[str, int]:
    """The versions a challenger is compared with: `production` and `anchor`, as far as there are
    any.

    Production is the newest that passed and is not revoked, of those whose data ends before the
    challenger's: a verdict does not depend on what came after. The anchor is the newest cold one of
    them, fixed for a month: a chain of small losses, each within the margin, ends there. It is left
    out where it is production itself.
    """
    passed = [one for one in versions if one.gate == "passed" and not one.revoked]
    earlier = [one for one in passed if one.data_until < challenger.data_until]
    cold = [one for one in earlier if one.fit == "cold"]
    found = {
        name: max(some, key=lambda one: (one.data_until, one.version)).version
        for name, some in (("production", earlier), ("anchor", cold))
        if some
    }
    if found.get("anchor") == found.get("production"):
        found.pop("anchor", None)
    return found


def desired_production(versions: Sequence[Candidate]) -> int | None:
    """The pinned version, else the newest `data_until` (then highest number) that passed and is not
    revoked.
    """
    pinned = [one for one in versions if one.pinned and not one.revoked]
    eligible = pinned or [one for one in versions if one.gate == "passed" and not one.revoked]
    best = max(eligible, key=lambda one: (one.data_until, one.version), default=None)
    return None if best is None else best.version
