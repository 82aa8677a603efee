"""Whether taste moves away from what is trained: the trend of the next-day metric.

What people rate may look as before while who likes what has changed; then only the accuracy of
production's answers falls. How a day's accuracy comes about is `prequential.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from movierec_assets.monitoring.drift import Finding, State
from movierec_assets.monitoring.prequential import Score
from movierec_assets.monitoring.two_samples import larger, lower_mean

RECENT = 10  # days that are compared
BEFORE = 56  # with at most so many before them
FEWEST_BEFORE = 20
FEWEST_USERS = 50  # of the recent days together
FALL = 0.2  # share of the NDCG@10 before that must be lost
LEVEL = 0.02  # of each test; a slow change is seen on many days one after the other


def taste(scores: Sequence[Score]) -> Finding:
    """Compare production's next-day NDCG@10 of the last ten days with that of the days before.

    Two one-sided tests of the days must agree: that of Welch (1947) and that of Mann and Whitney
    (1947). The figures are means over users.

    Args:
        scores: of all days so far, ascending.
    """
    judged = [score for score in scores if score.production is not None]
    values = np.array([score.production for score in judged], float)
    users = np.array([score.users for score in judged], float)
    begin = max(len(judged) - RECENT - BEFORE, 0)
    recent, before = slice(len(judged) - RECENT, None), slice(begin, len(judged) - RECENT)
    if len(judged) < RECENT + FEWEST_BEFORE:
        return _too_few(f"{len(judged)} days, of {RECENT + FEWEST_BEFORE} that are needed")
    if users[recent].sum() < FEWEST_USERS:
        return _too_few(f"{users[recent].sum():.0f} users in {RECENT} days, of {FEWEST_USERS}")
    now, usual = (float(np.average(values[some], weights=users[some])) for some in (recent, before))
    p = max(larger(values[before], values[recent]), lower_mean(values[recent], values[before]))
    lost = 1 - now / usual if usual > 0 else 0.0
    said = (
        f"NDCG@10 on the next day's ratings was {now:.3f} in the last {RECENT} days, "
        f"{usual:.3f} before ({-lost:+.0%})"
    )
    drift = p < LEVEL and lost >= FALL
    return Finding("taste", State.DRIFT if drift else State.USUAL, said, max(lost / FALL, 0.0), p)


def _too_few(said: str) -> Finding:
    return Finding("taste", State.TOO_FEW, said)
