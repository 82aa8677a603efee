"""Metrics of the registry: verdicts, production and its age, and what endpoints serve of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from movierec_assets.errors import EndpointError
from movierec_assets.exporting.gauges import gauge_by
from movierec_assets.exporting.ledger import seconds_of
from movierec_assets.monitoring.production_age import production_age
from movierec_assets.platform import Platform
from movierec_assets.promotion.version import Version

VERDICTS = ("passed", "refused", "awaiting_approval", "insufficient_data", "none")


def registry_metrics(platform: Platform) -> Iterable[Metric]:
    """Ask the registry for all versions, and the ledger for the days that production lacks."""
    versions = platform.model_registry.versions()
    production = platform.model_registry.production()
    accepted = platform.warehouse.days_accepted()
    counted = Counter(version.gate or "none" for version in versions)
    yield gauge_by(
        "movierec_versions",
        "Registered versions by the gate's verdict",
        "verdict",
        {verdict: counted[verdict] for verdict in VERDICTS},
    )
    yield GaugeMetricFamily(
        "movierec_gate_refusals_in_a_row",
        "How many of the newest versions, one after the other, the gate did not pass",
        value=_refusals_in_a_row(versions),
    )
    yield GaugeMetricFamily(
        "movierec_production_version",
        "The version in production, 0 for none",
        value=production.number if production else 0,
    )
    yield GaugeMetricFamily(
        "movierec_production_days_behind",
        "Accepted days whose ratings production has not seen",
        value=production_age(production, versions, accepted).days,
    )
    if production is not None:
        yield GaugeMetricFamily(
            "movierec_production_data_until_timestamp_seconds",
            "Beginning of the last day whose ratings production has seen",
            value=seconds_of(production.data_until),
        )


def _refusals_in_a_row(versions: Sequence[Version]) -> int:
    newest = sorted(
        versions, key=lambda version: (version.data_until, version.number), reverse=True
    )
    judged = [version for version in newest if version.gate is not None]
    return next((n for n, version in enumerate(judged) if version.gate == "passed"), len(judged))


class Deployments:
    """What each endpoint serves beside production, and since when the two differ."""

    def __init__(self, platform: Platform, clock: Callable[[], float]) -> None:
        self._platform, self._clock = platform, clock
        self._since: dict[str, float] = {}

    def metrics(self) -> Iterable[Metric]:
        """Ask each endpoint; one that does not answer serves nothing."""
        production = self._platform.model_registry.production()
        wanted = production.number if production is not None else 0
        served = {url: self._served(url) for url in self._platform.serving_client.endpoints}
        yield gauge_by(
            "movierec_served_version",
            "The version that an endpoint serves, 0 for none or no answer",
            "endpoint",
            served,
        )
        yield gauge_by(
            "movierec_deploy_lag_seconds",
            "Time since an endpoint was first seen to serve another version than production; 0 "
            "while they agree",
            "endpoint",
            {url: self._lag(url, version == wanted) for url, version in served.items()},
        )

    def _served(self, url: str) -> int:
        try:
            return self._platform.serving_client.served(url) or 0
        except EndpointError:
            return 0

    def _lag(self, url: str, agrees: bool) -> float:
        if agrees:
            self._since.pop(url, None)
            return 0.0
        now = self._clock()
        return now - self._since.setdefault(url, now)
