"""Metrics of what the stores have lost: what `movierec status` says of it, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client import Metric

from movierec_assets.exporting.gauges import gauge_by
from movierec_assets.maintenance.losses import losses
from movierec_assets.platform import Platform


def loss_metrics(platform: Platform) -> Iterable[Metric]:
    """Compare the stores with each other; a home that has lost nothing has one sample, of 0."""
    lost = Counter(loss.store for loss in losses(platform))
    yield gauge_by(
        "movierec_losses",
        "What a store should have and has not, as `movierec status` says it; production counts "
        "until it is published",
        "store",
        lost or {"none": 0},
    )
