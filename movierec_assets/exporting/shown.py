"""Metrics of what people were shown: lists by arm and source, and the experiment's arms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from movierec_assets.exporting.gauges import gauge_by
from movierec_assets.monitoring.experiments import Look
from movierec_assets.platform import Platform

NOBODY = [("none", "none", 0, 0)]  # so that a dashboard has a line before anything was shown


def shown_metrics(platform: Platform) -> Iterable[Metric]:
    """Read the log of recommendations, its rates, and what the experiment under way says.

    Raises:
        WarehouseHeldError: another process holds the file.
    """
    warehouse = platform.warehouse
    with warehouse.connect(read_only=True):
        shown, outcomes = warehouse.newest_shown() or NOBODY, warehouse.outcomes()
        trial = warehouse.running()
        looks = warehouse.newest_looks(trial.name) if trial is not None else []
    lists = GaugeMetricFamily(
        "movierec_shown_lists",
        "Lists that were shown on the newest day of the log",
        labels=["arm", "source"],
    )
    for arm, source, number, _ in shown:
        lists.add_metric([arm, source], number)
    yield lists
    newest = max((day for day, _ in outcomes), default=None)
    rates = [rate for day, rate in outcomes if day == newest]
    yield gauge_by(
        "movierec_outcome_ratio",
        "What became of the lists of the newest day that is evaluated, by rate; nothing where "
        "there are too few users to tell",
        "rate",
        {rate.rate: rate.middle for rate in rates if rate.low is not None},
    )
    yield from _arms(trial.name if trial is not None else "none", looks)


def _arms(experiment: str, looks: Sequence[Look]) -> Iterable[Metric]:
    """The experiment under way as its newest day found it; `none` where there is none."""
    users = GaugeMetricFamily(
        "movierec_arm_users",
        "Users of an arm since the experiment began",
        labels=["experiment", "arm"],
    )
    lead = GaugeMetricFamily(
        "movierec_arm_lead",
        "Difference of an arm to the control, per user and day, and the bounds of its interval; "
        "nothing where there are too few users to tell",
        labels=["experiment", "arm", "bound"],
    )
    for look in looks:
        users.add_metric([experiment, look.arm], look.users)
        for bound in ("low", "middle", "high"):
            value = getattr(look, bound)
            if value is not None:
                lead.add_metric([experiment, look.arm, bound], value)
    if not looks:
        users.add_metric([experiment, "none"], 0)
        lead.add_metric([experiment, "none", "middle"], 0)
    yield from (users, lead)
    yield gauge_by(
        "movierec_sample_ratio_p",
        "Probability that users are as far from the arms' shares by chance; 1 without an "
        "experiment",
        "experiment",
        {experiment: min((look.mismatch for look in looks), default=1.0)},
    )
