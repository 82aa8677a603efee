"""A goal's line, the same in all benchmarks."""

from __future__ import annotations

import math


def goal(name: str, value: float, limit: float, *, at_most: bool = True, digits: int = 3) -> bool:
    """Print `goal NAME: VALUE (<= LIMIT) ok|short`, and whether it is met."""
    met = value <= limit if at_most else value >= limit
    sign = "<=" if at_most else ">="
    print(
        f"goal {name}: {value:.{digits}f} ({sign} {limit:g}) {'ok' if met else 'short'}", flush=True
    )
    return met


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a proportion. Wilson (1927), good also at 0 and at 1."""
    z, share = 1.96, successes / trials
    middle = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = (
        z / (1 + z**2 / trials) * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    )
    return max(middle - half, 0.0), min(middle + half, 1.0)
