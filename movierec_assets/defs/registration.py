"""Registration: one MLflow version for each model identity."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from movierec_assets.defs.ingestion import ONE_RUN
from movierec_assets.defs.shared.days import Metadata, Results, each_day
from movierec_assets.defs.training import als_model
from movierec_assets.errors import NotReadyError
from movierec_assets.partitions import daily
from movierec_assets.resources.registry.model_registry import ModelRegistry, Version
from movierec_assets.resources.stores.bundle_store import BundleStore
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.training.identity import DayModel
from movierec_serving.bundle import Bundle


@dg.asset(
    deps=[als_model],
    partitions_def=daily,
    backfill_policy=ONE_RUN,
    group_name="registration",
    kinds={"mlflow"},
    pool="warehouse",
)
def registered_model(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    bundle_store: BundleStore,
    model_registry: ModelRegistry,
    mlflow: dg.ResourceParam[Any],
) -> Results:
    """The day's model as a version in MLflow, with parameters, metrics, data and the bundle
    itself.
    """
    tags = origin(context)
    models = warehouse.models(context.partition_keys)
    known = {
        one.identity: one for one in reversed(model_registry.versions())
    }  # the lowest number of each

    def register(day: str) -> None:
        if day not in models:
            raise NotReadyError(f"{day}: no model; materialize als_model first")
        model = models[day]
        if model.identity is None or model.identity in known:
            return
        bundle = Bundle.open(bundle_store.served(model.identity))
        known[model.identity] = register_version(mlflow, model_registry, bundle, model, tags)

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        return {day: _metadata(known.get(models[day].identity or "")) for day in days}

    yield from each_day(context, register, describe)


def origin(context: dg.AssetExecutionContext) -> dict[str, str]:
    """The tags of a version that say what made it."""
    return {"git_commit": _git_commit(), "dagster_run": context.run.run_id}


def register_version(
    mlflow: Any, registry: ModelRegistry, bundle: Bundle, model: DayModel, tags: Mapping[str, str]
) -> Version:
    """The version of a model, registered in an MLflow run of its own."""
    fit = bundle.manifest.fit  # the bundle's: an empty day's model was fitted on another day
    tags = {**tags, "partition": model.day, "fit": fit}
    known = {**tags, "identity": bundle.manifest.identity}
    with mlflow.start_run(nested=True, run_name=model.day, tags=known):
        return registry.register(bundle, tags=tags, metrics=model.metrics)


def _metadata(version: Version | None) -> Metadata:
    if version is None:
        return {"version": "none", "note": "no rating has been accepted yet"}
    return {
        "version": version.number,
        "identity": version.identity,
        "data until": version.data_until,
        "MLflow run": version.run_id,
    }


def _git_commit() -> str:
    """The checkout's commit, or `unknown` outside one."""
    command = ["git", "--no-optional-locks", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.check_output(
            command, text=True, timeout=10, stderr=subprocess.DEVNULL
        ).strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
