"""Metrics of what people were shown: lists by arm and source, and the experiment's arms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from movierec_assets.exporting.ledger import LATEST, WAIT_S
from movierec_assets.monitoring.sequential import mismatch
from movierec_assets.platform import Platform
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_serving.bundle.experiment import FILE, Experiment

NOBODY = [("none", "none", 0, 0)]  # so that a dashboard has a line before anything was shown


def shown_metrics(platform: Platform) -> Iterable[Metric]:
    """Read the log of recommendations, its rates, and the experiment that endpoints follow.

    Raises:
        WarehouseHeldError: another process holds the file.
        BundleError: the experiment's file is damaged.
    """
    warehouse = Warehouse(path=platform.warehouse.path, wait_s=WAIT_S)
    with warehouse.connect(read_only=True):
        shown, outcomes = warehouse.newest_shown() or NOBODY, warehouse.outcomes(LATEST)
        by_arm = warehouse.users_by_arm()
    lists = GaugeMetricFamily(
        "movierec_shown_lists",
        "Lists that were shown on the newest day of the log",
        labels=["arm", "source"],
    )
    for arm, source, number, _ in shown:
        lists.add_metric([arm, source], number)
    yield lists
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
    yield from _arms(_experiment(platform), by_arm)


def _experiment(platform: Platform) -> Experiment | None:
    path = Path(platform.published_models.path) / FILE
    return Experiment.from_json(path.read_bytes(), str(path)) if path.exists() else None


def _arms(experiment: Experiment | None, by_arm: Mapping[str, int]) -> Iterable[Metric]:
    shares = experiment.shares if experiment is not None else {}
    users = GaugeMetricFamily(
        "movierec_arm_users",
        "Users who were shown lists of an arm in the newest seven days of the log",
        labels=["arm"],
    )
    for arm in shares or {"none": 1.0}:
        users.add_metric([arm], by_arm.get(arm, 0))
    yield users
    counts = np.array([by_arm.get(arm, 0) for arm in shares], np.int64)
    yield GaugeMetricFamily(
        "movierec_sample_ratio_p",
        "Probability that users are as far from the arms' shares by chance; 1 without an "
        "experiment",
        value=mismatch(counts, np.array(list(shares.values()))),
    )
