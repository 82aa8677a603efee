"""The gate's verdict on each day's version, and which version is production."""

import dagster as dg

from movierec_assets.defs.days import Metadata, each_day
from movierec_assets.defs.ingestion import ONE_RUN
from movierec_assets.defs.registration import registered_model
from movierec_assets.evaluation.gate import judge
from movierec_assets.partitions import daily
from movierec_assets.resources.model_registry import ModelRegistry, Move
from movierec_assets.resources.warehouse import Warehouse

PRODUCTION = dg.AssetKey("production_model")


@dg.asset(
    deps=[registered_model], partitions_def=daily, backfill_policy=ONE_RUN, group_name="promotion", kinds={"mlflow"},
    pool="warehouse",
)  # fmt: skip
def gate_verdict(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_registry: ModelRegistry
) -> None:
    """The gate's decision on the day's version, recorded once; then production is reconciled with all verdicts."""

    models = warehouse.models(context.partition_keys)
    described: dict[str, Metadata] = {}

    def decide(day: str) -> None:
        if day not in models:
            raise LookupError(f"{day}: no model; materialize als_model first")
        model = models[day]
        if model.identity is None:
            described[day] = {"verdict": "insufficient_data", "reason": "no rating has been accepted yet"}
            return
        version = model_registry.find(model.identity)
        if version is None:
            raise LookupError(f"{day}: its model is not registered; materialize registered_model first")
        verdict = model_registry.record_verdict(version, judge(model.metrics))
        described[day] = {
            "verdict": verdict.decision,
            "reason": verdict.reason,
            "version": version.number,
            **{name: round(value, 5) for name, value in verdict.numbers.items()},
        }

    try:
        each_day(context, decide, lambda days: {day: described[day] for day in days}, ordered=True)
    finally:  # also for the verdicts of a range that failed later on
        reconcile_production(context.instance, model_registry, f"gate, run {context.run.run_id}")


def reconcile_production(instance: dg.DagsterInstance, registry: ModelRegistry, by: str) -> int | None:
    """Make production what the verdicts ask for; `production_model` gets an event exactly when it moved."""

    def report(move: Move) -> None:
        metadata: dict[str, int | str] = {
            "version": move.version.number if move.version else 0,
            "from": move.previous or 0,
            "data until": move.version.data_until if move.version else "none",
            "why": move.why,
            "by": by,
        }
        instance.report_runless_asset_event(dg.AssetMaterialization(PRODUCTION, metadata=metadata))

    return registry.reconcile(lambda: reported_production(instance), report)


def reported_production(instance: dg.DagsterInstance) -> int | None:
    """The production version of the newest event of `production_model`; None if there is none."""
    event = instance.get_latest_materialization_event(PRODUCTION)
    if event is None or event.asset_materialization is None:
        return None
    return int(str(event.asset_materialization.metadata["version"].value)) or None


production_model = dg.AssetSpec(
    PRODUCTION, deps=[gate_verdict], group_name="promotion", kinds={"mlflow"},
    description="What MLflow's alias `production` names: an event exactly when it moved, with from, to and why.",
)  # fmt: skip
