"""Production made what the registry asks for, and its events. Several stages may move it."""

from typing import Any

import dagster as dg

from movierec_assets.defs.shared.keys import PRODUCTION_MODEL
from movierec_assets.ports import Registry
from movierec_assets.promotion.version import Version
from movierec_assets.resources.notifier import webserver
from movierec_assets.resources.serving_client import ServedVersion


def reconcile_production(
    instance: dg.DagsterInstance, registry: Registry, by: str, run: str | None = None
) -> int | None:
    """Make production what the verdicts ask for; `production_model` gets an event exactly when it
    moved.

    Args:
        by: who asked, and why.
        run: the id of the run in which that was; None outside a run.
    """

    def report(version: Version | None, previous: int | None, why: str) -> None:
        metadata: dict[str, Any] = {
            "version": version.number if version else 0,
            "from": previous or 0,
            "data until": version.data_until if version else "none",
            "why": why,
            "by": by if run is None else f"{by}, run {run}",
            "identity": version.identity if version else "none",
        }
        if run is not None:
            metadata["Dagster run"] = dg.MetadataValue.url(f"{webserver()}/runs/{run}")
        if version:
            metadata["MLflow version"] = dg.MetadataValue.url(registry.page(version.number))
        moved = dg.AssetMaterialization(PRODUCTION_MODEL, metadata=metadata)
        instance.report_runless_asset_event(moved)

    production = registry.reconcile(lambda: reported_production(instance), report)
    if production is None:
        return None
    if production.pinned is not None:
        dg.get_dagster_logger().info(
            f"production is pinned to version {production.number} ({production.pinned}): verdicts "
            "do not move it"
        )
    return production.number


def reported_production(instance: dg.DagsterInstance) -> int | None:
    """The production version of the newest event of `production_model`; None if there is none."""
    reported = reported_model(instance)
    return reported.version if reported is not None else None


def reported_model(instance: dg.DagsterInstance) -> ServedVersion | None:
    """Read version and identity from the newest event of `production_model`, None without one.

    The identity is "" in events from before it was reported.
    """
    event = instance.get_latest_materialization_event(PRODUCTION_MODEL)
    if event is None or event.asset_materialization is None:
        return None
    metadata = event.asset_materialization.metadata
    version = int(str(metadata["version"].value))
    identity = str(metadata["identity"].value) if "identity" in metadata else ""
    return ServedVersion(version, identity) if version else None
