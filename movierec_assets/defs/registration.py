"""Registration: one MLflow version for each model identity."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from movierec_assets.defs.days import Metadata, Results, each_day
from movierec_assets.defs.ingestion import ONE_RUN
from movierec_assets.defs.training import als_model
from movierec_assets.partitions import daily
from movierec_assets.resources.bundle_store import BundleStore
from movierec_assets.resources.model_registry import ModelRegistry, Version
from movierec_assets.resources.warehouse import Warehouse
from movierec_serving.bundle import Bundle


@dg.asset(
    deps=[als_model], partitions_def=daily, backfill_policy=ONE_RUN, group_name="registration", kinds={"mlflow"},
    pool="warehouse",
)  # fmt: skip
def registered_model(
    context: dg.AssetExecutionContext, warehouse: Warehouse, bundle_store: BundleStore, model_registry: ModelRegistry,
    mlflow: dg.ResourceParam[Any],
) -> Results:  # fmt: skip
    """The day's model as a version in MLflow, with parameters, metrics, data and the bundle itself."""
    commit = _git_commit()
    models = warehouse.models(context.partition_keys)
    known = {one.identity: one for one in reversed(model_registry.versions())}  # the lowest number of each

    def register(day: str) -> None:
        if day not in models:
            raise LookupError(f"{day}: no model; materialize als_model first")
        model = models[day]
        if model.identity is None or model.identity in known:
            return
        bundle = Bundle.open(bundle_store.served(model.identity))
        # The bundle's fit: an empty day's model was fitted on another day.
        tags = {
            "partition": day,
            "git_commit": commit,
            "dagster_run": context.run.run_id,
            "fit": bundle.manifest.fit,
        }
        with mlflow.start_run(nested=True, run_name=day, tags={**tags, "identity": model.identity}):
            known[model.identity] = model_registry.register(bundle, tags=tags, metrics=model.metrics)

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        return {day: _metadata(known.get(models[day].identity or "")) for day in days}

    yield from each_day(context, register, describe)


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
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
