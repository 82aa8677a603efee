"""The code location: assets, jobs, schedule, sensors, and the resources they are given."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import dagster as dg

from movierec_assets.defs import (
    arms,
    arrivals,
    automation,
    deployment,
    events,
    experiments,
    ingestion,
    maintenance,
    notices,
    production,
    promotion,
    registration,
    tables,
    training,
    tuning,
    validation,
)
from movierec_assets.defs.monitoring import experiments as results
from movierec_assets.defs.monitoring import (
    live,
    pipeline_report,
    prequential,
    production_age,
    recommendations,
    stale_days,
)
from movierec_assets.defs.shared import days
from movierec_assets.defs.shared.catalogue import catalogued
from movierec_assets.defs.shared.keys import model_key
from movierec_assets.platform import Platform, wired
from movierec_assets.resources.registry.mlflow_run import mlflow_run


def assemble(platform: Platform) -> dg.Definitions:
    """The definitions, whose assets are given the adapters of `platform`."""
    served = model_key(platform.settings.model)
    definitions = dg.Definitions(
        assets=[
            events.collected_events,
            ingestion.raw_ratings,
            ingestion.movies,
            validation.validated_ratings,
            *(
                training.model_asset(arm, platform.settings.of_arm(arm).model)
                for arm in platform.settings.arms
            ),
            registration.registered_model(served),
            promotion.gate_verdict,
            promotion.production_model,
            deployment.served_model,
            prequential.prequential_evaluation,
            recommendations.recommendation_log,
            arms.experiment_arms([model_key(arm) for arm in platform.settings.arms]),
            results.experiment_results,
            tuning.tuned_parameters(served),
        ],
        asset_checks=[
            stale_days.days_current_check(served),
            production_age.production_current,
            maintenance.nothing_lost,
            live.live_answers,
            live.live_accuracy,
        ],
        jobs=[
            automation.daily_job,
            automation.catalogue_job,
            automation.retrain_job,
            tuning.tuning_job,
            deployment.deploy_job,
            live.live_job,
            production.set_production,
            experiments.start_experiment,
            experiments.stop_experiment,
            experiments.conclude_experiment,
            maintenance.prune_job,
            maintenance.upkeep_job,
        ],
        schedules=[
            automation.every_day,
            live.evaluate_live,
            maintenance.prune_weekly,
            maintenance.look_for_losses,
        ],
        sensors=[
            automation.landing_zone_watch,
            automation.retrain_stale,
            tables.table_watch,
            arrivals.landing_bucket_watch,
            deployment.deploy_production,
            notices.after_failure,
            notices.refused_days,
            production_age.production_behind,
            pipeline_report.publish_status,
        ],
        resources=resources(platform),
        executor=days.executor,  # a range of days is one process: it is what makes a day cheap
    )
    return definitions.map_asset_specs(func=catalogued)


def resources(platform: Platform) -> dict[str, Any]:
    """Each field of the platform by its name, and the MLflow run of a Dagster run.

    They are wired already: as values, not as something to configure, they leave the launchpad of a
    job to what a person decides there.
    """
    adapters = {field.name: getattr(platform, field.name) for field in fields(platform)}
    wired_already = {
        name: dg.ResourceDefinition.hardcoded_resource(adapter, description(adapter))
        for name, adapter in {**adapters, "platform": platform}.items()
    }
    return {**wired_already, "mlflow": mlflow_run}


def description(adapter: object) -> str:
    """The first sentence that its class says of itself."""
    return " ".join((type(adapter).__doc__ or "").split("\n\n")[0].split())


defs = assemble(wired())
