"""The gate's verdict on each day's version, and which version is production."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import cast

import dagster as dg

from movierec_assets.defs.ingestion import ONE_RUN
from movierec_assets.defs.registration import registered_model
from movierec_assets.defs.shared.days import Metadata, Results, each_day
from movierec_assets.defs.shared.pictures import differences
from movierec_assets.errors import NotReadyError
from movierec_assets.partitions import daily
from movierec_assets.promotion.comparison import compare, overlap, usual_overlap
from movierec_assets.promotion.gate import Decision, Verdict, judge, references
from movierec_assets.resources.registry.model_registry import ModelRegistry, Version
from movierec_assets.resources.stores.bundle_store import BundleStore
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import settings
from movierec_assets.training.identity import DayModel
from movierec_serving.bundle import Bundle, BundleError

PRODUCTION = dg.AssetKey("production_model")


@dg.asset(
    deps=[registered_model],
    partitions_def=daily,
    backfill_policy=ONE_RUN,
    group_name="promotion",
    kinds={"mlflow"},
    pool="warehouse",
)
def gate_verdict(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    bundle_store: BundleStore,
    model_registry: ModelRegistry,
) -> Results:
    """The gate's decision on the day's version, recorded once; then production is reconciled with
    all verdicts.

    The challenger's twin is compared with those of the version before it that passed and of the
    month's cold one, on the challenger's holdout; the served bundle itself is opened and compared
    with its twin.
    """
    models = warehouse.models()
    versions = {
        one.identity: one for one in reversed(model_registry.versions())
    }  # the lowest number of each
    described: dict[str, Metadata] = {}

    def decide(day: str) -> None:
        if day not in models:
            raise NotReadyError(f"{day}: no model; materialize als_model first")
        model = models[day]
        if model.identity is None:
            described[day] = {
                "verdict": "insufficient_data",
                "reason": "no rating has been accepted yet",
            }
            return
        version = versions.get(model.identity)
        if version is None:
            raise NotReadyError(
                f"{day}: its model is not registered; materialize registered_model first"
            )
        found = verdict_on(
            model, version, list(versions.values()), models, bundle_store, model_registry
        )
        tags = {**version.tags, "gate": found.decision, "gate_reason": found.reason}
        versions[model.identity] = replace(version, tags=tags)
        described[day] = _metadata(version.number, found)

    try:
        yield from each_day(
            context, decide, lambda days: {day: described[day] for day in days}, ordered=True
        )
    finally:  # also for the verdicts of a range that failed later on
        reconcile_production(context.instance, model_registry, f"gate, run {context.run.run_id}")


def verdict_on(
    model: DayModel,
    version: Version,
    versions: list[Version],
    models: Mapping[str, DayModel],
    store: BundleStore,
    registry: ModelRegistry,
) -> Verdict:
    """The verdict on a version: the recorded one, else the gate's, which is recorded."""
    if version.gate is not None:
        return Verdict(cast(Decision, version.gate), version.tags.get("gate_reason", ""))
    chosen = settings()
    by_number = {one.number: one.identity for one in versions}
    found = references(version.candidate, [one.candidate for one in versions])
    against = {name: by_number[number] for name, number in found.items()}
    rival = next(
        (one.metrics for one in models.values() if one.identity == against.get("production")), {}
    )
    served, twin = (
        Bundle.open(store.served(version.identity)),
        Bundle.open(store.twin(version.identity)),
    )
    theirs = {name: Bundle.open(store.twin(identity)) for name, identity in against.items()}
    usual = None
    with suppress(BundleError, KeyError):  # none yet, or lost: the deployment's checks name that
        usual = usual_overlap(
            served, Bundle.open(store.served(against["production"])), theirs["production"]
        )
    whole = {
        name: value for name, value in model.metrics.items() if "/" not in name
    }  # not by segment
    verdict = judge(
        whole,
        compare(served, twin, theirs),
        overlap(served, twin),
        margin=chosen.gate_margin,
        level=chosen.gate_level,
        manual=chosen.gate == "manual",
        before=rival.get("ndcg_at_10"),
        usual=usual,
    )
    return registry.record_verdict(version, verdict, model.metrics)


def _metadata(number: int, verdict: Verdict) -> Metadata:
    numbers = verdict.numbers
    intervals = {
        name: (numbers[f"{name}_lower"], numbers[f"{name}_difference"], numbers[f"{name}_upper"])
        for name in ("anchor", "production")
        if f"{name}_lower" in numbers
    }
    return {
        "verdict": verdict.decision,
        "reason": verdict.reason,
        "version": number,
        **{name: round(value, 5) for name, value in numbers.items()},
        **({"difference": differences(intervals, settings().gate_margin)} if intervals else {}),
    }


def reconcile_production(
    instance: dg.DagsterInstance, registry: ModelRegistry, by: str
) -> int | None:
    """Make production what the verdicts ask for; `production_model` gets an event exactly when it
    moved.
    """

    def report(version: Version | None, previous: int | None, why: str) -> None:
        metadata: dict[str, int | str] = {
            "version": version.number if version else 0,
            "from": previous or 0,
            "data until": version.data_until if version else "none",
            "why": why,
            "by": by,
        }
        instance.report_runless_asset_event(dg.AssetMaterialization(PRODUCTION, metadata=metadata))

    chosen = registry.reconcile(lambda: reported_production(instance), report)
    if chosen is not None and "pinned" in chosen.tags:
        dg.get_dagster_logger().info(
            f"production is pinned to version {chosen.number} ({chosen.tags['pinned']}): verdicts "
            "do not move it"
        )
    return chosen.number if chosen else None


def reported_production(instance: dg.DagsterInstance) -> int | None:
    """The production version of the newest event of `production_model`; None if there is none."""
    event = instance.get_latest_materialization_event(PRODUCTION)
    if event is None or event.asset_materialization is None:
        return None
    return int(str(event.asset_materialization.metadata["version"].value)) or None


production_model = dg.AssetSpec(
    PRODUCTION,
    deps=[gate_verdict],
    group_name="promotion",
    kinds={"mlflow"},
    description="What MLflow's alias `production` names: an event exactly when it moved, with "
    "from, to and why.",
)
