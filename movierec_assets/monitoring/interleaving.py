"""An experiment whose lists are drafted from both arms, at the end of a day.

How a list is drafted is `movierec_serving/bundle/drafting.py`'s, the interval `arms.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from movierec_assets.monitoring.arms import Users, preference
from movierec_assets.monitoring.experiments import METRICS, Look
from movierec_assets.monitoring.sequential import ConfidenceSequence, mismatch


def interleaved_looks(
    credited: pd.DataFrame,
    lists: pd.DataFrame,
    metric: str,
    arms: Sequence[str],
    sequence: ConfidenceSequence,
) -> list[Look]:
    """Both arms of lists that were drafted from both, the control first.

    What a place brought is the arm's whose place it is; what is both's is each one's half. So the
    difference over the control's mean is about what it would be between lists of one arm each.

    Args:
        credited: a row for each user, day and `side` since the start: an arm, or `both`.
        lists: as of `looks`.
        arms: the control first.
    """
    gains, dislikes = (_shared(credited, column, arms) for column in (METRICS[metric], "disliked"))
    days = gains["days"].to_numpy(np.float64)
    own = [Users(gains[arm].to_numpy(np.float64), days) for arm in arms]
    compared = [None, preference((own[0].gains, own[1].gains), days, sequence)]
    firsts = lists.set_index("arm")["firsts"].reindex(list(arms), fill_value=0)
    p = mismatch(firsts.to_numpy(np.int64), np.array([0.5, 0.5]))
    of_lists = lists.set_index("arm").to_dict("index")
    return [
        Look.of(arm, users, lead, p, float(dislikes[arm].sum() / max(days.sum(), 1)), of_lists)
        for arm, users, lead in zip(arms, own, compared, strict=True)
    ]


def _shared(credited: pd.DataFrame, column: str, arms: Sequence[str]) -> pd.DataFrame:
    """(user_id, days, and each arm's part of a figure). A day's hit is one, whoever has part in
    it.
    """
    counted = "taken_up" if column == "hit" else column
    sides = credited.pivot_table(
        index=["user_id", "day"], columns="side", values=counted, aggfunc="sum", fill_value=0.0
    ).reindex(columns=["both", *arms], fill_value=0.0)
    parts = sides[list(arms)].add(sides["both"] / 2, axis=0)
    if column == "hit":
        parts = parts.div(parts.sum(axis=1).clip(lower=1.0), axis=0)
    return parts.assign(days=1).groupby("user_id").sum()
