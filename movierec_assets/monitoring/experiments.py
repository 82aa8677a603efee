"""An experiment at the end of a day: each arm beside the control, and what to do, in a sentence.

The intervals are `arms.py`'s. Here is what they are of, whether they can be trusted, and words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from movierec_assets.monitoring.arms import Difference, Users, difference
from movierec_assets.monitoring.power import History
from movierec_assets.monitoring.sequential import ConfidenceSequence, mismatch
from movierec_serving.bundle.experiment import POPULAR, PRODUCTION

METRICS: Mapping[str, str] = {  # the column that is counted, per user and day on which they came
    "hit_rate": "hit",
    "likes": "liked",
    "taken_up": "taken_up",
}
# Looked at every day, a level of 1 % would be passed by chance far more often.
MISMATCH_LEVEL = 0.0005
Rest = Mapping[Any, Mapping[Any, Any]]  # what is known of the lists of each arm
FALLBACKS_MORE = 0.02  # share of lists more than the control's that is a guard-rail's alarm
SLOWER = 2.0  # times the control's milliseconds


@dataclass(frozen=True)
class Look:
    """An arm at the end of a day. `middle`, `low` and `high` are the difference to the control,
    None of the control itself and while there are too few users.

    Attributes:
        mean: of the metric, per user and day.
        mismatch: the p-value that users came to the arms by their shares, the same for all arms; of
            interleaved lists, that either arm began as many.
        dislikes: per user and day.
        fallbacks: share of the lists that were popular movies for want of better, or none.
        failures: share of the lists that production made because the arm was broken.
        ms: mean time to make a list.
    """

    arm: str
    users: int
    mean: float
    middle: float | None
    low: float | None
    high: float | None
    mismatch: float
    dislikes: float
    fallbacks: float
    failures: float
    ms: float

    @classmethod
    def of(
        cls, arm: str, users: Users, found: Difference | None, p: float, dislikes: float, rest: Rest
    ) -> Self:
        """An arm by its users, and by what is known of its lists."""
        about = rest.get(arm, {"fallbacks": 0.0, "failures": 0.0, "ms": 0.0})
        return cls(
            arm=arm,
            users=len(users.days),
            mean=users.mean,
            middle=found.estimate if found else None,
            low=_finite(found.lower) if found else None,
            high=_finite(found.upper) if found else None,
            mismatch=p,
            dislikes=dislikes,
            **{name: float(about[name]) for name in ("fallbacks", "failures", "ms")},
        )


def looks(
    user_days: pd.DataFrame,
    lists: pd.DataFrame,
    before: pd.DataFrame,
    metric: str,
    shares: Mapping[str, float],
    sequence: ConfidenceSequence,
) -> list[Look]:
    """Every arm, the control first.

    Args:
        user_days: a row for each user, day, version and source since the start, with `arm`.
        lists: by `arm`: `fallbacks`, `failures`, `ms`, means over its lists; `firsts`.
        before: as `user_days`, of the time before the start.
        shares: of the users by arm, the control first.
    """
    gains = _by_user(user_days, METRICS[metric])
    dislikes = _by_user(user_days, "disliked")
    known = _residuals(_by_user(before, METRICS[metric], arms=False))
    users = {arm: _users(gains, arm, known) for arm in shares}
    control = users[next(iter(shares))]
    counts = np.array([len(user.days) for user in users.values()], np.int64)
    p = mismatch(counts, np.array(list(shares.values())))
    of_lists = lists.set_index("arm").to_dict("index")
    seen = []
    for arm, own in users.items():
        compared = None if own is control else difference(control, own, sequence)
        disliked = dislikes[dislikes["arm"] == arm]
        rate = float(disliked["gains"].sum() / max(disliked["days"].sum(), 1))
        seen.append(Look.of(arm, own, compared, p, rate, of_lists))
    return seen


def sentence(
    looks_of_arms: Sequence[Look], metric: str, effect: float, last_day: bool, drafted: bool = False
) -> str:
    """What is known, and what to do.

    Args:
        effect: the least that is worth having, relative to the control.
        last_day: whether as many days as planned have passed.
        drafted: whether lists are drafted from both arms.
    """
    control, *arms = looks_of_arms
    if control.mismatch < MISMATCH_LEVEL:
        came = ", ".join(f"{look.arm} {look.users:,}" for look in looks_of_arms)
        cause = f"users did not come to the arms by their shares ({came}; "
        if drafted:
            cause = "the arms did not begin as many lists each, so some are missing ("
        cause += f"p = {control.mismatch:.1g})"
        return f"Nothing can be said: {cause}. Find out why, and start anew."
    said = [_about(arm, control, metric, effect, last_day, drafted) for arm in arms]
    return " ".join([*said, *guards(looks_of_arms)])


def _about(
    arm: Look, control: Look, metric: str, effect: float, last_day: bool, drafted: bool
) -> str:
    if arm.middle is None or arm.low is None or arm.high is None or not control.mean:
        of = "took up what one arm alone shows" if drafted else "to tell"
        return f"{arm.arm}: too few users {of} ({arm.users:,} and {control.users:,})."
    low, middle, high = (value / control.mean for value in (arm.low, arm.middle, arm.high))
    known = f"{middle:+.1%} ({low:+.1%} to {high:+.1%})"
    said = f"{arm.arm}: {metric} {known} against {control.arm}"
    if drafted:
        said = f"{arm.arm}'s movies are preferred to {control.arm}'s by {known}, {metric}"
    if low > 0:
        return f"{said}: it is better. Conclude with it."
    if high < 0:
        return f"{said}: it is worse. Stop."
    if high < effect:
        return f"{said}: {effect:.0%} more is ruled out. Stop, or go on for less."
    if last_day:
        return f"{said}: not known after as many days as planned. Stop, or give it more users."
    return f"{said}: not known yet. Wait."


def guards(looks_of_arms: Sequence[Look]) -> list[str]:
    """A sentence for each thing that an arm harms beside the metric."""
    control, *arms = looks_of_arms
    said = []
    for arm in arms:
        if arm.failures:
            said.append(f"{arm.arm} was broken for {arm.failures:.1%} of its lists.")
        if arm.fallbacks > control.fallbacks + FALLBACKS_MORE:
            said.append(f"{arm.arm} fell back for {arm.fallbacks:.1%} of its lists.")
        if control.ms and arm.ms > SLOWER * control.ms:
            said.append(f"{arm.arm} takes {arm.ms:.1f} ms a list, {control.arm} {control.ms:.1f}.")
        more = arm.dislikes - control.dislikes
        if more > 0.1 * max(control.dislikes, 0.01) and arm.users >= 100:
            said.append(f"{arm.arm} is disliked more: {arm.dislikes:.3f} a user and day.")
    return said


def wrong_shares(
    shares: Mapping[str, float], trained: Collection[str], *, interleave: bool = False
) -> str | None:
    """Why an experiment cannot give these shares; None if it can.

    Args:
        trained: the arms that are trained beside production's.
        interleave: whether lists are to be drafted from both arms.
    """
    if interleave and len(shares) != 2:
        return f"interleave: of two arms alone, not of {len(shares)}"
    if PRODUCTION not in shares or len(shares) < 2:
        return f"shares: {PRODUCTION} and one arm at least, with their shares of the users"
    known = {PRODUCTION, POPULAR, *trained}
    unknown = sorted(set(shares) - known)
    if unknown:
        return (
            f"shares: {', '.join(unknown)} is not trained; there are {', '.join(sorted(known))}. "
            "MOVIEREC_POLICIES and MOVIEREC_ALSO_TRAIN name more"
        )
    if sum(shares.values()) > 1 + 1e-9 or min(shares.values()) <= 0:
        return "shares: each above 0, together at most 1"
    return None


def wrong_metric(metric: str) -> str | None:
    """Why there is no such metric; None if there is."""
    return None if metric in METRICS else f"metric: {metric!r} is none of {', '.join(METRICS)}"


def history(user_days: pd.DataFrame, metric: str) -> History | None:
    """What users did in the past, for a plan; None where nobody was shown anything."""
    if user_days.empty:
        return None
    daily = _daily(user_days.assign(arm="all"), METRICS[metric])
    gains = daily.pivot_table(index="user_id", columns="day", values="gains", fill_value=0.0)
    shown = daily.assign(came=1.0).pivot_table(
        index="user_id", columns="day", values="came", fill_value=0.0
    )
    return History(gains.to_numpy(np.float64), shown.to_numpy(np.float64))


def _daily(user_days: pd.DataFrame, column: str) -> pd.DataFrame:
    """(arm, user_id, day, gains): a user's versions and sources of a day are one."""
    how = "max" if column == "hit" else "sum"
    return user_days.groupby(["arm", "user_id", "day"], as_index=False).agg(gains=(column, how))


def _by_user(user_days: pd.DataFrame, column: str, *, arms: bool = True) -> pd.DataFrame:
    """(arm, user_id, gains, days)."""
    rows = user_days if arms else user_days.assign(arm="all")
    daily = _daily(rows, column)
    return daily.groupby(["arm", "user_id"], as_index=False).agg(
        gains=("gains", "sum"), days=("day", "count")
    )


def _residuals(before: pd.DataFrame) -> dict[str, float]:
    """How much more each user gained before than the mean user on as many days."""
    mean = before["gains"].sum() / max(before["days"].sum(), 1)
    return dict(zip(before["user_id"], before["gains"] - mean * before["days"], strict=True))


def _users(gains: pd.DataFrame, arm: str, known: Mapping[str, float]) -> Users:
    own = gains[gains["arm"] == arm]
    before = np.array([known.get(user, 0.0) for user in own["user_id"]])
    return Users(
        own["gains"].to_numpy(np.float64),
        own["days"].to_numpy(np.float64),
        before if known else None,
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
