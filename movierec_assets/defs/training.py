"""A model a day, of each family that is trained: one asset from one factory."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, timedelta
from itertools import takewhile

import dagster as dg

from movierec_assets.defs.shared.days import Results, each_day
from movierec_assets.defs.shared.header import daily_asset
from movierec_assets.defs.shared.keys import MODEL_OF_A_DAY, VALIDATED_RATINGS
from movierec_assets.defs.shared.metadata import Metadata, table
from movierec_assets.defs.shared.recipes import recipes
from movierec_assets.errors import NotReadyError
from movierec_assets.partitions import within
from movierec_assets.resources.stores.bundle_store import BundleStore
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings
from movierec_assets.training.day import train_day
from movierec_assets.training.day_model import DayModel
from movierec_assets.training.plan import Fit, Inherit, Keep, Past, Plan, plan_day
from movierec_assets.training.trainers import TRAINERS
from movierec_serving.bundle import Bundle

NOTES = {  # by the fit of a day that has none
    "inherited": "no accepted ratings on this day: the model is the day before's",
    "none": "no rating has been accepted yet",
}


def model_asset(arm: str) -> dg.AssetsDefinition:
    """The asset of a trainer of the table, `als_model` of the first."""
    trainer = TRAINERS[arm]

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
                ratings = warehouse.interactions(day, window) if isinstance(due, Fit) else None
            match due:
                case Fit(start=start):
                    assert ratings is not None
                    twin = Bundle.open(bundle_store.twin(str(due.parent))) if start else None
                    trained = train_day(due, ratings, twin)
                    bundle_store.write(trained)
                    warehouse.record_model(trained.model)
                case Inherit(model):
                    warehouse.record_model(model)
                case Keep():
                    pass

        def describe(days: list[str]) -> Mapping[str, Metadata]:
            return {day: _metadata(model) for day, model in warehouse.models(days, arm).items()}

        yield from each_day(context, train, describe, ordered=True)

    return model_of_a_day


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
        yesterday = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
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


def _metadata(model: DayModel) -> Metadata:
    whole = {name: round(value, 5) for name, value in model.metrics.items() if "/" not in name}
    segments: dict[str, dict[str, float]] = {}
    for name, value in model.metrics.items():
        if "/" in name:
            part, metric = name.split("/")
            segments.setdefault(part, {})[metric] = round(value, 5)
    columns = list(dict.fromkeys(metric for found in segments.values() for metric in found))
    rows = [[part, *(found.get(name, 0.0) for name in columns)] for part, found in segments.items()]
    return {
        "identity": model.identity or "none",
        "fit": model.fit,
        "data until": model.data_until or "none",
        "parent": model.parent or "none",
        **whole,
        **({"by segment": table(("segment", *columns), rows)} if rows else {}),
        **({"note": NOTES[model.fit]} if model.fit in NOTES else {}),
    }
