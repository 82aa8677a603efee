"""Registration: one MLflow version for each model identity."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from movierec_assets.defs.shared.challengers import origin, register_version
from movierec_assets.defs.shared.days import Results, each_day
from movierec_assets.defs.shared.header import daily_asset
from movierec_assets.defs.shared.metadata import Metadata
from movierec_assets.errors import NotReadyError
from movierec_assets.ports import Bundles, Registry
from movierec_assets.promotion.version import Version
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_serving.bundle import Bundle


def registered_model(model: dg.AssetKey) -> dg.AssetsDefinition:
    """The asset, for the models of `model`."""
    make = daily_asset(name="registered_model", deps=[model], kinds={"mlflow"})
    return make(_register_days)


def _register_days(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    bundle_store: dg.ResourceParam[Bundles],
    model_registry: dg.ResourceParam[Registry],
    mlflow: dg.ResourceParam[Any],
) -> Results:
    """The day's model as a version in MLflow, with parameters, metrics, data and the bundle
    itself.
    """
    tags = origin(context)
    models = warehouse.models(context.partition_keys)
    known: dict[str, Version] = {}

    def register(day: str) -> None:
        if day not in models:
            raise NotReadyError(f"{day}: no model; materialize {warehouse.arm}_model first")
        model = models[day]
        if model.identity is None or model.identity in known:
            return
        version = model_registry.find(model.identity)
        if version is None:
            bundle = Bundle.open(bundle_store.served(model.identity))
            version = register_version(mlflow, model_registry, bundle, model, tags)
        known[model.identity] = version

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        versions = {day: known.get(models[day].identity or "") for day in days}
        return {day: _metadata(version, model_registry) for day, version in versions.items()}

    yield from each_day(context, register, describe)


def _metadata(version: Version | None, registry: Registry) -> Metadata:
    if version is None:
        return {"version": "none", "note": "no rating has been accepted yet"}
    return {
        "version": version.number,
        "data until": version.data_until,
        "MLflow version": dg.MetadataValue.url(registry.page(version.number)),
        "MLflow run": dg.MetadataValue.url(registry.run_page(version)),
        "identity": version.identity,
    }
