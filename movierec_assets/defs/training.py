"""A model a day, of each family that is trained: one asset from one factory."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from typing import Any, NamedTuple

import dagster as dg

from movierec_assets.defs.shared.days import Results, each_day
from movierec_assets.defs.shared.header import daily_asset
from movierec_assets.defs.shared.keys import MODEL_OF_A_DAY, VALIDATED_RATINGS
from movierec_assets.defs.shared.metadata import Metadata, table
from movierec_assets.defs.shared.production import reported_model
from movierec_assets.defs.shared.recipes import recipes
from movierec_assets.defs.shared.sharing import share
from movierec_assets.errors import NotReadyError
from movierec_assets.partitions import days_before, within
from movierec_assets.ratings.interactions import Interactions, added
from movierec_assets.resources.spark_driver import placed, with_pipes
from movierec_assets.resources.stores.bundle_store import BundleStore
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings
from movierec_assets.training.day import train_day
from movierec_assets.training.day_model import DayModel
from movierec_assets.training.plan import Fit, Inherit, Keep, Past, Plan, plan_day
from movierec_assets.training.trainers import TRAINERS
from movierec_serving.bundle import Bundle

NDCG, POPULARITY = "ndcg_at_10", "popularity_"  # a metric, and the prefix of popularity's
NOTES = {  # by the fit of a day that has none
    "inherited": "no accepted ratings on this day: the model is the day before's",
    "none": "no rating has been accepted yet",
}


class Production(NamedTuple):
    """A version in production, and what was recorded about its model."""

    version: int
    model: DayModel


def model_asset(arm: str, family: str) -> dg.AssetsDefinition:
    """The asset of an arm: `als_model` of the family, or a policy's by its name."""
    trainer = TRAINERS[family]

    @daily_asset(
        name=f"{arm}_model",
        deps=[VALIDATED_RATINGS],
        kinds={*trainer.libraries[:2]},
        tags=dict([MODEL_OF_A_DAY]),
    )
    def model_of_a_day(
        context: dg.AssetExecutionContext,
        landing_zone: LandingZone,
        warehouse: Warehouse,
        bundle_store: BundleStore,
        settings: dg.ResourceParam[Settings],
    ) -> Results:
        """The day's model of every accepted rating up to the day, as a bundle of data.

        Where the family can, warm from the model of the day before; cold in a new month, after a
        change of parameters, or without a parent. A day without accepted ratings has its parent's
        model. Fails naming the delivered days that can be read and have not been judged, and judged
        ones that the month's chain of models lacks.
        """
        last, window = context.partition_keys[-1], settings.window_days
        with warehouse.connect(read_only=True):
            plan = _planner(arm, last, settings, landing_zone, warehouse, bundle_store)
            current = _current_first(context.partition_keys, plan)

        def train(day: str) -> None:
            if day in current:
                return
            with warehouse.connect(read_only=True):  # one view of the ledger and of its ratings
                due = plan(day)
                if isinstance(due, Fit):
                    ratings = _ratings(context, due, warehouse, bundle_store, window)
            match due:
                case Fit(start=start):
                    twin = Bundle.open(bundle_store.twin(str(due.parent))) if start else None
                    fits = placed(due.recipe.trainer, settings, with_pipes(context))
                    due = replace(due, recipe=replace(due.recipe, trainer=fits))
                    trained = train_day(due, ratings, twin, bundle_store.write_twin)
                    bundle_store.write_served(trained.served)
                    warehouse.record_model(trained.model)
                case Inherit(model):
                    warehouse.record_model(model)
                case Keep():
                    pass

        def describe(days: list[str]) -> Mapping[str, Metadata]:
            production = _production(context.instance, warehouse)
            models = warehouse.models(days, arm).items()
            return {day: _metadata(model, production) for day, model in models}

        for result in each_day(context, train, describe, ordered=True):
            share(context, bundle_store.share)  # also where some days failed
            yield result

    return model_of_a_day


def _ratings(
    context: dg.AssetExecutionContext,
    due: Fit,
    warehouse: Warehouse,
    store: BundleStore,
    window: int | None,
) -> Interactions:
    """All that a model is to be trained on.

    Where a day was added, and nothing else happened, it is what the day before's model was trained
    on, and the day's ratings: to read and order millions takes longer. A cold fit, on the first day
    of each month, reads all of them, so that a mistake in adding lasts no longer, and says so.
    """
    before = store.interactions(due.before, due.earlier) if due.before else None
    if before is None:
        return warehouse.interactions(due.day, window)
    grown = added(before, warehouse.interactions(due.day, 1))
    if due.start is not None:
        return grown
    whole = warehouse.interactions(due.day, window)
    if not whole.same_as(grown):
        context.log.error(
            f"{due.day}: the warehouse has other ratings than came together day by day, on which "
            "the month's models were trained; this one is right. `movierec verify VERSION --since "
            "DAY` says which of them are not"
        )
    return whole


def _planner(
    arm: str,
    last: str,
    settings: Settings,
    landing_zone: LandingZone,
    warehouse: Warehouse,
    store: BundleStore,
) -> Callable[[str], Plan]:
    """Plans days up to `last`.

    What waits for a verdict is asked once: what lands while a run goes on is the next run's.
    """
    window = settings.window_days
    delivered = warehouse.days_without_verdict(within(landing_zone.days()), last, None)
    waiting = [day for day in delivered if landing_zone.readable(day)]
    recipe_on = recipes(arm, settings, warehouse)

    def plan(day: str) -> Plan:
        yesterday = days_before(day, 1)
        models = warehouse.models([yesterday, day], arm)
        past = Past(
            partitions=warehouse.partitions(day, window),
            unjudged=warehouse.days_without_verdict(waiting, day, window),
            untrained=[] if yesterday in models else warehouse.days_without_model(day, arm),
            parent=models.get(yesterday),
            current=models.get(day),
        )
        return plan_day(day, recipe_on(day), past, store)

    return plan


def _current_first(days: list[str], plan: Callable[[str], Plan]) -> set[str]:
    """The days at the beginning of a range that keep what they have."""
    current: set[str] = set()
    with suppress(NotReadyError):
        current |= set(takewhile(lambda day: plan(day) == Keep(), days))
    return current


def _production(instance: dg.DagsterInstance, warehouse: Warehouse) -> Production | None:
    """Production as it is now, with its evaluation; None without one, or if that is not known."""
    reported = reported_model(instance)
    if reported is None or not reported.identity:
        return None
    model = warehouse.model(reported.identity)
    return Production(reported.version, model) if model is not None else None


def _metadata(model: DayModel, production: Production | None) -> Metadata:
    """What a person asks first comes first: how good, against what, made of what."""
    metrics = dict(model.metrics)
    best: dict[str, Any] = {"note": NOTES[model.fit]} if model.fit in NOTES else {}
    if NDCG in metrics:
        best["NDCG@10"] = round(metrics[NDCG], 5)
        best["popularity's NDCG@10"] = round(metrics[f"{POPULARITY}{NDCG}"], 5)
        best["change against production"] = _change(metrics[NDCG], production)
    both = [name for name in metrics if f"{POPULARITY}{name}" in metrics]
    figures = [
        (name, round(metrics[name], 5), round(metrics[f"{POPULARITY}{name}"], 5)) for name in both
    ]
    shown = {*both, *(f"{POPULARITY}{name}" for name in both)}
    return {
        **best,
        "fit": model.fit,
        "data until": model.data_until or "none",
        **({"figures": table(("figure", "model", "popularity"), figures)} if figures else {}),
        **_by_segment(metrics),
        **{
            name: round(value, 5)
            for name, value in metrics.items()
            if name not in shown and "/" not in name
        },
        "identity": model.identity or "none",
        "parent": model.parent or "none",
    }


def _change(ndcg: float, production: Production | None) -> str:
    """How NDCG@10 differs from production's, each on the holdout of its own day."""
    before = production.model.metrics.get(NDCG) if production else None
    if production is None or not before:
        return "nothing is in production yet"
    return (
        f"{ndcg / before - 1:+.1%}: version {production.version}, of data until "
        f"{production.model.data_until}, had {before:.5f} on its own holdout"
    )


def _by_segment(metrics: Mapping[str, float]) -> Metadata:
    segments: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        if "/" in name:
            part, metric = name.split("/")
            segments.setdefault(part, {})[metric] = round(value, 5)
    if not segments:
        return {}
    columns = list(dict.fromkeys(metric for segment in segments.values() for metric in segment))
    rows = [
        [part, *(values.get(name, 0.0) for name in columns)] for part, values in segments.items()
    ]
    return {"by segment": table(("segment", *columns), rows)}
