"""The gate's verdict on each day's version, and which version is production."""

from collections.abc import Mapping
from dataclasses import replace

import dagster as dg

from movierec_assets.defs.shared.challengers import Gate
from movierec_assets.defs.shared.days import Results, each_day
from movierec_assets.defs.shared.header import GROUP, OWNERS, daily_asset
from movierec_assets.defs.shared.keys import GATE_VERDICT, PRODUCTION_MODEL, REGISTERED_MODEL
from movierec_assets.defs.shared.metadata import Metadata
from movierec_assets.defs.shared.pictures import differences
from movierec_assets.defs.shared.production import reconcile_production
from movierec_assets.errors import NotReadyError
from movierec_assets.ports import Bundles, Registry
from movierec_assets.promotion.findings import Verdict
from movierec_assets.promotion.version import Version
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings
from movierec_assets.training.day_model import DayModel

UNDECIDED = {"verdict": "insufficient_data", "reason": "no rating has been accepted yet"}


@daily_asset(deps=[REGISTERED_MODEL], kinds={"mlflow"})
def gate_verdict(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    bundle_store: dg.ResourceParam[Bundles],
    model_registry: dg.ResourceParam[Registry],
    settings: dg.ResourceParam[Settings],
) -> Results:
    """The gate's decision on the day's version, recorded once; then production is reconciled with
    all verdicts.

    The challenger's twin is compared with those of the version before it that passed and of the
    month's cold one, on the challenger's holdout; the served bundle itself is opened and compared
    with its twin.
    """
    gate = Gate(settings, bundle_store, model_registry, warehouse)
    models = warehouse.models()
    # Of an identity that has two versions, the lowest number.
    versions = {version.identity: version for version in reversed(model_registry.versions())}
    described: dict[str, Metadata] = {}

    def decide(day: str) -> None:
        model, version = _challenger(day, models, versions)
        if version is None:
            described[day] = UNDECIDED
            return
        verdict = gate.verdict(model, version, list(versions.values()), warehouse.model)
        tags = {**version.tags, "gate": verdict.decision, "gate_reason": verdict.reason}
        versions[version.identity] = replace(version, tags=tags)
        described[day] = _metadata(version.number, verdict, settings.gate_margin)

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        return {day: described[day] for day in days}

    try:
        yield from each_day(context, decide, describe, ordered=True)
    finally:  # also for the verdicts of a range that failed later on
        reconcile_production(context.instance, model_registry, f"gate, run {context.run.run_id}")


def _challenger(
    day: str, models: Mapping[str, DayModel], versions: Mapping[str, Version]
) -> tuple[DayModel, Version | None]:
    """The day's model and its version; no version while no rating has been accepted.

    Raises:
        NotReadyError: the day has no model, or it is not registered.
    """
    if day not in models:
        raise NotReadyError(f"{day}: no model; materialize the day's model first")
    model = models[day]
    if model.identity is None:
        return model, None
    if model.identity not in versions:
        raise NotReadyError(
            f"{day}: its model is not registered; materialize registered_model first"
        )
    return model, versions[model.identity]


def _metadata(number: int, verdict: Verdict, margin: float) -> Metadata:
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
        **({"difference": differences(intervals, margin)} if intervals else {}),
    }


production_model = dg.AssetSpec(
    PRODUCTION_MODEL,
    deps=[GATE_VERDICT],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"mlflow"},
    description="What MLflow's alias `production` names: an event exactly when it moved, with "
    "from, to and why.",
)
