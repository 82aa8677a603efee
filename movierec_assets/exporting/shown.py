"""Metrics of what people were shown: lists by arm and source, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from movierec_assets.exporting.ledger import LATEST, WAIT_S
from movierec_assets.platform import Platform
from movierec_assets.resources.warehouse.warehouse import Warehouse

NOBODY = [("none", "none", 0, 0)]  # so that a dashboard has a line before anything was shown


def shown_metrics(platform: Platform) -> Iterable[Metric]:
    """Read the log of recommendations and its rates.

    Raises:
        WarehouseHeldError: another process holds the file.
    """
    warehouse = Warehouse(path=platform.warehouse.path, wait_s=WAIT_S)
    with warehouse.connect(read_only=True):
        shown, outcomes = warehouse.newest_shown() or NOBODY, warehouse.outcomes(LATEST)
    lists = GaugeMetricFamily(
        "movierec_shown_lists",
        "Lists that were shown on the newest day of the log",
        labels=["arm", "source"],
    )
    users: Counter[str] = Counter()
    for arm, source, number, persons in shown:
        lists.add_metric([arm, source], number)
        users[arm] += persons
    yield lists
    people = GaugeMetricFamily(
        "movierec_arm_users",
        "Users who were shown lists of an arm on the newest day of the log, once for each source",
        labels=["arm"],
    )
    for arm, number in users.items():
        people.add_metric([arm], number)
    yield people
    rates = GaugeMetricFamily(
        "movierec_outcome_ratio",
        "What became of the lists of the newest day that is evaluated, by rate; nothing where "
        "there are too few users to tell",
        labels=["rate"],
    )
    newest = max((day for day, _ in outcomes), default=None)
    for day, rate in outcomes:
        if day == newest and rate.low is not None:
            rates.add_metric([rate.rate], rate.middle)
    yield rates
