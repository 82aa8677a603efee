"""Gauges with one label, as the other modules of this room make most of theirs."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily


def gauge_by(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """A gauge with a sample for each value of its label."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for of, value in values.items():
        family.add_metric([of], value)
    return family
