"""What is asked of an experiment that is to start, and how long it will take."""

import dagster as dg

from movierec_assets.defs.shared.actions import actions_since
from movierec_assets.defs.shared.metadata import Metadata
from movierec_assets.monitoring.experiments import history
from movierec_assets.monitoring.outcomes import K
from movierec_assets.monitoring.power import Plan, plan, plan_interleaved
from movierec_assets.partitions import days_before
from movierec_assets.platform import Platform
from movierec_serving.bundle.experiment import PRODUCTION

PAST_DAYS = 28  # of the log, that a plan is made from


class Start(dg.Config):
    """An experiment, or larger shares of the one under way, by its name and the same question.

    `shares` are of all users, production's among them. `day` is the first whose lists count; today
    if none is given. With `interleave` users of either of two arms get one list, drafted from both.
    With `only_plan` nothing is started.
    """

    name: str
    shares: dict[str, float]
    reason: str
    metric: str = "hit_rate"
    effect: float = 0.05
    days: int = PAST_DAYS
    day: str | None = None
    interleave: bool = False
    only_plan: bool = False


def planned(platform: Platform, config: Start, day: str) -> Plan | None:
    """From what users did in the days before; None where nobody was shown anything."""
    last, first = days_before(day, 1), days_before(day, min(config.days, PAST_DAYS))
    events = actions_since(platform, first)
    within = platform.settings.outcome_days
    past = history(
        platform.warehouse.user_days(first, last, events, within=within, k=K), config.metric
    )
    if past is None:
        return None
    if config.interleave:
        return plan_interleaved(past, config.effect, sum(config.shares.values()))
    plans = [
        plan(past, config.effect, (config.shares[PRODUCTION], share))
        for arm, share in config.shares.items()
        if arm != PRODUCTION
    ]
    return min(plans, key=lambda plan: float(plan.power[-1]))


def described(made: Plan | None, config: Start) -> Metadata:
    if made is None:
        return {"plan": "nobody was shown a list in the days before: there is nothing to plan by"}
    power, days = float(made.power[-1]), len(made.power)
    findable = f"after {made.days} days" if made.days else f"not in {days} days"
    return {
        "plan": f"{config.effect:.0%} of {config.metric} is found with probability 0.8 {findable}; "
        f"with {made.users:,} users and {days} days with probability {power:.2f}",
        "power": round(power, 3),
        "users": made.users,
    }
