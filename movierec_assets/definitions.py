"""The code location: assets, jobs, schedule, sensors, and the resources they are given."""

from __future__ import annotations

from typing import Any

import dagster as dg

from movierec_assets.defs import (
    automation,
    deployment,
    ingestion,
    production,
    promotion,
    registration,
    training,
    tuning,
    validation,
)
from movierec_assets.defs.monitoring import live, prequential
from movierec_assets.defs.shared import days
from movierec_assets.resources.notifier import Notifier
from movierec_assets.resources.registry.mlflow_run import mlflow_run
from movierec_assets.resources.registry.model_registry import ModelRegistry
from movierec_assets.resources.serving_client import ServingClient
from movierec_assets.resources.stores.bundle_store import BundleStore
from movierec_assets.resources.stores.chunk_archive import ChunkArchive
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings, settings


def resources(chosen: Settings) -> dict[str, Any]:
    """The adapters, at the places that the settings name."""
    root = chosen.warehouse
    return {
        "landing_zone": LandingZone(path=str(root / "landing")),
        "chunk_archive": ChunkArchive(path=str(root / "chunks")),
        "warehouse": Warehouse(path=str(root / "movierec.duckdb")),
        "bundle_store": BundleStore(root=str(root)),
        "model_registry": ModelRegistry(tracking_uri=chosen.tracking_uri, root=str(root)),
        "mlflow": mlflow_run,
        "serving_client": ServingClient(chosen.endpoints, chosen.reload_token),
        "notifier": Notifier(chosen.webhook),
    }


def assemble(chosen: Settings) -> dg.Definitions:
    """The definitions, with resources at the places that the settings name."""
    return dg.Definitions(
        assets=[
            ingestion.raw_ratings,
            ingestion.movies,
            validation.validated_ratings,
            training.als_model,
            registration.registered_model,
            promotion.gate_verdict,
            promotion.production_model,
            deployment.served_model,
            prequential.prequential_evaluation,
            tuning.tuned_parameters,
        ],
        asset_checks=[production.days_current, live.live_answers, live.live_accuracy],
        jobs=[
            automation.daily_job,
            automation.catalogue_job,
            tuning.tuning_job,
            deployment.deploy_job,
            live.live_job,
            production.set_production,
        ],
        schedules=[automation.every_day, live.evaluate_live],
        sensors=[
            automation.landing_zone_watch,
            deployment.deploy_production,
            production.after_failure,
            production.refused_days,
        ],
        resources=resources(chosen),
        executor=days.executor,  # a range of days is one process: it is what makes a day cheap
    )


defs = assemble(settings())
