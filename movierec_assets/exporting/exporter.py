"""The exporter: an HTTP server that gives Prometheus what the stores say, until it is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import dagster as dg
from prometheus_client import CollectorRegistry, start_http_server

from movierec_assets.exporting.ledger import warehouse_metrics
from movierec_assets.exporting.losses import loss_metrics
from movierec_assets.exporting.machine import machine_metrics, store_metrics
from movierec_assets.exporting.orchestration import orchestration_metrics
from movierec_assets.exporting.registry import Deployments, registry_metrics
from movierec_assets.exporting.shown import shown_metrics
from movierec_assets.exporting.source import Source, Sources
from movierec_assets.platform import Platform

# How many times less often than the rest is read: the stores are compared, the warehouse is walked.
LOSSES_FACTOR, STORES_FACTOR = 4, 20
WAIT_S = 0.3  # for the warehouse: runs hold it for milliseconds, and a scrape should not wait long


def exporter_registry(
    platform: Platform, instance: dg.DagsterInstance, max_age_s: float
) -> CollectorRegistry:
    """What a scrape reads: each store in a source of its own, so that one does not hide another."""
    platform = replace(platform, warehouse=platform.warehouse.waiting(WAIT_S))
    settings = platform.settings
    home, warehouse = settings.home.resolve(), settings.warehouse
    deployments = Deployments(platform, time.monotonic)
    sources = [
        Source("warehouse", lambda: warehouse_metrics(platform), max_age_s),
        Source("shown lists", lambda: shown_metrics(platform), max_age_s),
        Source("registry", lambda: registry_metrics(platform), max_age_s),
        Source("dagster", lambda: orchestration_metrics(instance, settings), max_age_s),
        Source("endpoints", deployments.metrics, max_age_s),
        Source("losses", lambda: loss_metrics(platform), LOSSES_FACTOR * max_age_s),
        Source("machine", lambda: machine_metrics(home, warehouse), 0.0),
        Source("stores", lambda: store_metrics(warehouse), STORES_FACTOR * max_age_s),
    ]
    registry = CollectorRegistry()
    registry.register(Sources(sources))
    return registry


def serve(registry: CollectorRegistry, host: str, port: int) -> Callable[[], None]:
    """Begin to answer scrapes; what is returned ends it.

    Raises:
        OSError: the port cannot be listened on.
    """
    server, thread = start_http_server(port, addr=host, registry=registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
