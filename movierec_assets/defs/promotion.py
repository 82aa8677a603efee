"""The gate's verdict on each day's version, and which version is production."""

from collections.abc import Mapping
from dataclasses import replace

import dagster as dg

from movierec_assets.defs.shared.challengers import Gate
from movierec_assets.defs.shared.days import Results, each_day
from movierec_assets.defs.shared.header import GROUP, OWNERS, STAGE, daily_asset
from movierec_assets.defs.shared.keys import GATE_VERDICT, PRODUCTION_MODEL, REGISTERED_MODEL
from movierec_assets.defs.shared.metadata import Metadata, table
from movierec_assets.defs.shared.pictures import Bounds, differences
from movierec_assets.defs.shared.production import reconcile_production
from movierec_assets.errors import NotReadyError
from movierec_assets.ports import Bundles, Registry
from movierec_assets.promotion.findings import Verdict
from movierec_assets.promotion.version import Version
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings
from movierec_assets.training.day_model import DayModel

REFERENCES = ("production", "anchor")
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
    # An empty day inherits an identity; its fit is the oldest day's.
    by_identity = {model.identity: model for model in reversed(models.values())}
    described: dict[str, Metadata] = {}

    def recorded(identity: str) -> DayModel | None:
        """Mostly of this arm, which was read at once: to open the warehouse costs 20 ms."""
        return by_identity.get(identity) or warehouse.model(identity)

    def decide(day: str) -> None:
        model, version = _challenger(day, models, versions)
        if version is None:
            described[day] = UNDECIDED
            return
        verdict = gate.verdict(model, version, list(versions.values()), recorded)
        tags = {**version.tags, "gate": verdict.decision, "gate_reason": verdict.reason}
        versions[version.identity] = replace(version, tags=tags)
        page = model_registry.page(version.number)
        described[day] = _metadata(version, page, verdict, model, settings.gate_margin)

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        return {day: described[day] for day in days}

    try:
        yield from each_day(context, decide, describe, ordered=True)
    finally:  # also for the verdicts of a range that failed later on
        reconcile_production(context.instance, model_registry, "gate", context.run.run_id)


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


def _metadata(
    version: Version, page: str, verdict: Verdict, model: DayModel, margin: float
) -> Metadata:
    """The verdict and what it rests on; the model's own figures are with the model."""
    numbers = {
        name: round(value, 5)
        for name, value in verdict.numbers.items()
        if name not in model.metrics
    }
    compared = {role: _of_reference(role, numbers) for role in REFERENCES}
    compared = {role: values for role, values in compared.items() if values}
    prefixes = tuple(f"{role}_" for role in REFERENCES)
    own = {name: value for name, value in numbers.items() if not name.startswith(prefixes)}
    figures = dict.fromkeys(name for numbers in compared.values() for name in numbers)
    rows = [(name, *(numbers.get(name, "") for numbers in compared.values())) for name in figures]
    bounds = {role: Bounds.of(values) for role, values in compared.items()}
    intervals = {role: known for role, known in bounds.items() if known is not None}
    return {
        "verdict": verdict.decision,
        "reason": verdict.reason,
        **({"difference": differences(intervals, margin)} if intervals else {}),
        **({"references": table(("figure", *compared), rows)} if rows else {}),
        **own,
        "version": version.number,
        "MLflow version": dg.MetadataValue.url(page),
    }


def _of_reference(role: str, numbers: Mapping[str, float]) -> dict[str, float]:
    """The figures of one comparison, by their names without the reference's."""
    prefix = f"{role}_"
    return {
        name.removeprefix(prefix): value
        for name, value in numbers.items()
        if name.startswith(prefix)
    }


production_model = dg.AssetSpec(
    PRODUCTION_MODEL,
    deps=[GATE_VERDICT],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"mlflow"},
    tags={STAGE: "promotion"},
    description="What MLflow's alias `production` names: an event exactly when it moved, with "
    "from, to and why.",
)
