"""The gate on a small site: what is asked of a model where users are too few to compare models by.

With 20 to 400 users to judge by, the non-inferiority test decides nothing on most days, and
production would stay for ever. Two other questions can be answered there.

1. Is the model whole? It solves the equations of its own ratings, holds every accepted one, has
   lost none of production's, and its served lists are those of its twin. No user is needed to
   know that, and a model that lost or mixed up ratings is seen at once.
2. Is it shown to be worse than production? If not, the fresher model is production.

A routine update with the same parameters and more ratings is not worse unless something broke.
Other parameters are not routine: then a person approves. docs/benchmarks has the simulation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
from movierec_assets.promotion.interval import MIN_USERS, Interval
from movierec_assets.training.trainer import Residuals

# Of the users' side: half a step older than the movies', so 150 times as far from its solution.
USERS_PER_MOVIES = 150


@dataclass(frozen=True)
class Limits:
    """What the settings say about small sites; see their descriptions."""

    users: int
    overlap: float
    kept: float
    residual: float


@dataclass(frozen=True)
class SmallSite:
    """What is known of a challenger without asking its users.

    Attributes:
        accepted: pairs of user and movie with an accepted rating among the training days.
        held: pairs that the served model holds.
        kept: share of production's pairs that the challenger holds; 1.0 without production.
        residuals: the larger ones of the served model and its twin; None for a family without
            such equations.
        popularity: against popular movies on the same holdout; decides for a first model alone.
        new_settings: whether production was trained with other parameters.
    """

    limits: Limits
    accepted: int
    held: int
    kept: float
    residuals: Residuals | None
    popularity: Interval
    new_settings: bool


def judge_small(
    metrics: Mapping[str, float],
    comparisons: Mapping[str, Comparison],
    overlap: float,
    site: SmallSite,
    *,
    margin: float,
    level: float,
    manual: bool,
) -> Verdict:
    """Judge a challenger that fewer users than `site.limits.users` can judge.

    Args:
        metrics: of the twin's evaluation.
        comparisons: with production and the anchor, by name; none for a first version.
        overlap: share of the served top 10 that are the twin's.
        margin: share of a reference's NDCG@10 below which a difference is none.
        level: of the one-sided bounds.
        manual: what would pass awaits approval.
    """
    residuals = site.residuals or Residuals(0.0, 0.0)
    numbers = {
        **metrics,
        "overlap": overlap,
        "kept_ratings": site.kept,
        "residual_users": residuals.users,
        "residual_movies": residuals.movies,
    }
    findings = [*_not_whole(numbers, site, first=not comparisons)]
    for name, comparison in comparisons.items():
        findings.append(_against(name, comparison, margin, level))
    if not comparisons:
        findings.append(_first_model(metrics, site.popularity))
    for finding in findings:
        numbers |= finding.numbers
    decision, reason = strictest(findings) or ("passed", "")
    if decision == "passed" and manual:
        decision = "awaiting_approval"
    return Verdict(decision, reason, finite(numbers))


def _not_whole(numbers: Mapping[str, float], site: SmallSite, *, first: bool) -> Iterator[Finding]:
    """What is wrong with the model by itself. Every check is exact: it needs no users."""
    limits = site.limits
    broken = sorted(name for name, value in numbers.items() if math.isinf(value))
    if broken:
        yield Finding("refused", f"not finite: {', '.join(broken)}")
    if numbers["residual_movies"] > limits.residual:
        residual = f"{numbers['residual_movies']:.3f} (at most {limits.residual:g})"
        yield Finding("refused", f"its vectors do not fit its own ratings: residual {residual}")
    highest = USERS_PER_MOVIES * limits.residual
    if numbers["residual_users"] > highest and not first:
        residual = f"{numbers['residual_users']:.2f} (at most {highest:.2g})"
        yield Finding("refused", f"the fit has not converged: residual of users {residual}")
    if site.held < site.accepted:
        yield Finding("refused", f"holds {site.held:,} of {site.accepted:,} accepted ratings")
    if not numbers["overlap"] >= limits.overlap:  # NaN where no user is in both
        shared = f"{numbers['overlap']:.0%} of the served top 10 are the evaluated twin's"
        yield Finding("refused", f"{shared}, {limits.overlap:.0%} are needed")
    if site.kept < limits.kept:
        gone = f"{1 - site.kept:.0%} of the ratings that production was trained on are gone"
        yield Finding("awaiting_approval", f"{gone}; approve if that was meant")
    if site.new_settings and not first:
        few = f"{numbers.get('users', 0):.0f} users are too few to prove other parameters"
        yield Finding("awaiting_approval", f"{few}; approve if they were meant")


def _first_model(metrics: Mapping[str, float], popularity: Interval) -> Finding:
    """Hold a first model against popular movies, which it replaces."""
    own, popular = metrics.get("ndcg_at_10", 0.0), metrics.get("popularity_ndcg_at_10", 0.0)
    if popularity.upper < 0:
        worse = f"NDCG@10 {own:.4f} against popular movies' {popular:.4f}"
        return Finding("insufficient_data", f"{worse}: the model is still worse than they are")
    return Finding("passed", "whole, not shown to be worse than popular movies, and the first")


def _against(name: str, comparison: Comparison, margin: float, level: float) -> Finding:
    """Whether the challenger is shown to be worse than a reference.

    The users that the reference knows are asked, and everybody where these are too few. The anchor
    is months old at most: only a loss of more than the margin counts against it.
    """
    known = Group.of(comparison, comparison.known, margin, level)
    everybody = Group.of(comparison, np.ones_like(comparison.known), margin, level)
    group = known if len(known.own) >= MIN_USERS else everybody
    whom = f"{len(group.own)} users"
    numbers = {f"{name}_leaked_ratings": float(comparison.leaked)} | named(name, group)
    if len(group.own) < MIN_USERS:
        return Finding("passed", f"whole; {whom} are too few to compare it with {name}", numbers)
    if group.interval.upper < (0.0 if name == "production" else -margin):
        best = f"at best {group.interval.upper:+.1%}"
        own, other = numbers[f"{name}_challenger_ndcg_at_10"], numbers[f"{name}_ndcg_at_10"]
        worse = f"worse than {name}: NDCG@10 {own:.4f} against {other:.4f}, {best}, of {whom}"
        return Finding("refused", worse, numbers)
    if group.decision == "passed":
        return Finding("passed", explain(name, group, whom), numbers)
    fresher = f"whole, fresher, and not shown to be worse than {name}"
    if math.isfinite(group.interval.upper):  # with few hits of the reference nothing is known
        fresher += f": {group.interval.lower:+.1%} to {group.interval.upper:+.1%}"
    return Finding("passed", f"{fresher}, of {whom}", numbers)
