"""The gate: the test a challenger must pass before it may be production.

It judges numbers that others computed: `comparison` ranks, `interval` resamples, `policy` chooses
production by the verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from movierec_assets.promotion.comparison import Comparison
from movierec_assets.promotion.findings import (
    Finding,
    Group,
    Verdict,
    explain,
    finite,
    named,
    strictest,
)
from movierec_assets.promotion.interval import MIN_USERS
from movierec_assets.promotion.small_site import SmallSite, judge_small

MIN_COVERAGE = 0.5  # of the reference's
# Of the served top 10 with its twin's, and of what is usual; docs/benchmarks has the simulation.
MIN_OVERLAP, KEPT_OVERLAP = 0.5, 0.9
# Of the NDCG@10 that production had on the holdout of its own day: below it the ratings have
# changed, not the model. Healthy days of MovieLens 100k with 100 users keep 0.93 at least;
# docs/benchmarks has what others keep.
MIN_KEPT, KEPT_IF_APPROVED, KEPT_USERS = 0.5, 0.9, 100


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
    site: SmallSite | None = None,
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
        site: what a small site is judged by; None where every model must be shown not to be worse.
    """
    if site is not None and metrics.get("users", 0.0) < site.limits.users:
        return judge_small(
            metrics, comparisons, overlap, site, margin=margin, level=level, manual=manual
        )
    numbers = {**metrics, "overlap": overlap}
    if refusal := _insane(numbers):
        return Verdict("refused", refusal, finite(numbers))
    if metrics.get("users", 0) < MIN_USERS:
        users = f"{metrics.get('users', 0):.0f} users with a relevant rating in the holdout"
        return Verdict("insufficient_data", f"{users}, {MIN_USERS} are needed", numbers)
    findings = [
        _against(name, comparison, margin, level) for name, comparison in comparisons.items()
    ]
    findings += [*_unlike(metrics, before), *_apart(numbers, usual)]
    for finding in findings:
        numbers |= finding.numbers
    decision, reason = strictest(findings) or ("passed", _first_version(metrics))
    if decision == "passed" and manual:
        decision = "awaiting_approval"
    return Verdict(decision, reason, finite(numbers))


def _first_version(metrics: Mapping[str, float]) -> str:
    own, popularity = metrics["ndcg_at_10"], metrics["popularity_ndcg_at_10"]
    above = f"NDCG@10 {own:.4f} is above popularity's {popularity:.4f}"
    return f"{above}, and there is no earlier version"


def _insane(numbers: Mapping[str, float]) -> str | None:
    """What is wrong with a challenger by itself, if anything."""
    broken = sorted(name for name, value in numbers.items() if not math.isfinite(value))
    if broken:
        return f"not finite: {', '.join(broken)}"
    if numbers["overlap"] < MIN_OVERLAP:
        shared = f"{numbers['overlap']:.0%} of the served top 10 are the evaluated twin's"
        return f"{shared}, {MIN_OVERLAP:.0%} are needed"
    own, popularity = numbers.get("ndcg_at_10", 0.0), numbers.get("popularity_ndcg_at_10", 0.0)
    if numbers.get("users", 0) >= MIN_USERS and own <= popularity:
        return f"NDCG@10 {own:.4f} is not above popularity's {popularity:.4f}"
    return None


def _against(name: str, comparison: Comparison, margin: float, level: float) -> Finding:
    """Hold the challenger against one reference.

    The users that the reference knows decide: a flood of new accounts must not. While they are too
    few to tell, and not proven to be worse off, all users do: a young production must not stay for
    lack of its own users.
    """
    leaked = {f"{name}_leaked_ratings": float(comparison.leaked)}
    own, other = comparison.challenger_coverage, comparison.reference_coverage
    if own < MIN_COVERAGE * other:
        return Finding("refused", f"shows {own:.1%} of the movies, {name} {other:.1%}", leaked)
    known = Group.of(comparison, comparison.known, margin, level)
    numbers = leaked | named(name, known)
    if known.decision != "insufficient_data":
        whom = f"{len(known.own)} users that {name} knows"
        return Finding(known.decision, explain(name, known, whom), numbers)
    everybody = Group.of(comparison, np.ones_like(comparison.known), margin, level)
    numbers |= named(f"{name}_all", everybody)
    whom = f"{len(everybody.own)} users (new ones included)"
    return Finding(everybody.decision, explain(name, everybody, whom), numbers)


def _unlike(metrics: Mapping[str, float], before: float | None) -> list[Finding]:
    """What the holdout itself says against the day's ratings, if anything."""
    own = metrics["ndcg_at_10"]
    if not before or metrics["users"] < KEPT_USERS or own >= KEPT_IF_APPROVED * before:
        return []
    less = f"NDCG@10 {own:.4f} on this holdout, and production had {before:.4f} on its own"
    reason = f"{less}: the newest ratings are unlike those before; repair the day, or"
    if own < MIN_KEPT * before:
        return [Finding("refused", f"{reason} pin")]
    return [Finding("awaiting_approval", f"{reason} approve")]


def _apart(numbers: Mapping[str, float], usual: float | None) -> list[Finding]:
    """Whether what is served is further from what was evaluated than production is."""
    own = numbers["overlap"]
    if usual is None or numbers["users"] < KEPT_USERS or own >= KEPT_OVERLAP * usual:
        return []
    shared = f"{own:.0%} of the served top 10 are the evaluated twin's, of production's {usual:.0%}"
    return [Finding("awaiting_approval", shared)]
