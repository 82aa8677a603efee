"""A model a day: two fits, one that is evaluated and one that is served."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from importlib.metadata import version
from itertools import takewhile
from typing import Any

import dagster as dg
import numpy as np
import scipy.sparse as sp

from movierec_assets.defs.shared.days import Metadata, Results, each_day, table
from movierec_assets.defs.shared.header import ONE_RUN
from movierec_assets.defs.shared.keys import VALIDATED_RATINGS
from movierec_assets.errors import NotReadyError
from movierec_assets.evaluation.offline import encode, evaluate, rows_of
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.partitions import daily, within
from movierec_assets.ratings.interactions import Interactions, confidence
from movierec_assets.resources.stores.bundle_store import BundleStore
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import settings
from movierec_assets.training.als import blas_kernel, fit, loss
from movierec_assets.training.factors import content, factors_of
from movierec_assets.training.identity import (
    TRAINING_VERSION,
    DayModel,
    model_identity,
    partitions_digest,
)
from movierec_serving.bundle import Bundle, write_bundle

LIBRARIES = {name: version(name) for name in ("implicit", "numpy", "scipy")}
NOTES = {  # by the fit of a day that has none
    "inherited": "no accepted ratings on this day: the model is the day before's",
    "none": "no rating has been accepted yet",
}


@dg.asset(
    deps=[VALIDATED_RATINGS],
    partitions_def=daily,
    backfill_policy=ONE_RUN,
    group_name="movierec",
    kinds={"implicit", "numpy"},
    pool="warehouse",
)
def als_model(
    context: dg.AssetExecutionContext,
    landing_zone: LandingZone,
    warehouse: Warehouse,
    bundle_store: BundleStore,
) -> Results:
    """The day's model: implicit ALS on every accepted rating up to the day, as a bundle of data.

    Warm from the model of the day before, cold in a new month, after a change of parameters, or
    without a parent. A day without accepted ratings has its parent's model. Fails naming the
    delivered days that can be read and have not been judged, and judged ones that the month's chain
    of models lacks: a model must not miss what a run beside it is still ingesting or about to
    train.
    """

    def due(day: str) -> Due | DayModel | None:
        parameters = next(
            (found for since, found in tuned if since <= day), settings().fit_parameters
        )
        return _due(day, waiting, parameters, warehouse, bundle_store)

    def train_day(day: str) -> None:
        if day in current:
            return
        with warehouse.connect(
            read_only=True
        ):  # one view of the ledger, and of the ratings that go with it
            found = due(day)
            if isinstance(found, Due):
                found = replace(
                    found, interactions=warehouse.interactions(day, settings().window_days)
                )
        if found is not None:
            warehouse.record_model(
                fit_model(found, bundle_store) if isinstance(found, Due) else found
            )

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        return {day: _metadata(model) for day, model in warehouse.models(days).items()}

    current: set[str] = set()
    with warehouse.connect(read_only=True):
        # Once: what lands while this runs is the next run's, and what has a verdict keeps it.
        waiting = warehouse.days_without_verdict(
            within(landing_zone.days()), context.partition_keys[-1], None
        )
        waiting = [day for day in waiting if landing_zone.readable(day)]
        tuned = warehouse.tuned(settings().fit_parameters)
        with suppress(NotReadyError):
            current |= set(takewhile(lambda day: due(day) is None, context.partition_keys))
    yield from each_day(context, train_day, describe, ordered=True)


@dataclass(frozen=True)
class Due:
    """A model that is to be fitted: what decides it, the bundle that it starts from, and its
    ratings.
    """

    day: str
    parameters: Mapping[str, Any]
    partitions: list[tuple[str, str]]
    start: Bundle | None = None
    month_loss: float | None = None  # of the cold fit that the chain began with
    interactions: Interactions | None = None

    @property
    def fit(self) -> str:
        return "cold" if self.start is None else "warm"

    @property
    def parent(self) -> str | None:
        return self.start.manifest.identity if self.start else None

    @cached_property
    def digest(self) -> str:
        return partitions_digest(self.partitions)

    @cached_property
    def identity(self) -> str:
        return model_identity(
            parameters=self.parameters,
            seed=settings().seed,
            fit=self.fit,
            parent=self.parent,
            partitions_digest=self.digest,
            data_until=self.partitions[-1][0],
        )


def _due(
    day: str,
    waiting: list[str],
    parameters: Mapping[str, Any],
    warehouse: Warehouse,
    store: BundleStore,
) -> Due | DayModel | None:
    """What is to be done for a day: a fit, a record without one (a day without ratings), nothing if
    it is current.
    """
    chosen = settings()
    unjudged = warehouse.days_without_verdict(waiting, day, chosen.window_days)
    if unjudged:
        raise NotReadyError(
            f"{day}: delivered days without a verdict: {', '.join(unjudged)}; validate them first"
        )
    partitions = warehouse.partitions(day, chosen.window_days)
    yesterday = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
    models = warehouse.models([yesterday, day])
    parent, current = models.get(yesterday), models.get(day)
    if parent is None and (gap := warehouse.days_without_model(day)):
        # a cold fit here would be another model than the warm one that follows once these are
        # trained
        raise NotReadyError(
            f"{day}: earlier days without a model: {', '.join(gap)}; train them first"
        )
    if parent is not None and parent.identity is None:
        parent = None
    if not partitions or (parent is not None and partitions[-1][0] != day):
        model = DayModel(day, None, None, "none", None, None, {})
        if parent is not None:
            model = replace(parent, day=day, fit="inherited")
        return model if model != current else None
    start = _open_parent(store, parent, partitions[-1][0], parameters)
    month_loss = parent.metrics.get("month_loss") if parent and start else None
    found = Due(day, parameters, partitions, start, month_loss)
    if current is not None and current.identity == found.identity and store.sound(found.identity):
        return None
    return found


def fit_model(due: Due, store: BundleStore) -> DayModel:
    """Fit the twin and the served model, write both, evaluate the twin."""
    interactions, identity, until = due.interactions, due.identity, due.partitions[-1][0]
    assert interactions is not None
    held = temporal_holdout(interactions)
    training = interactions.select(~held)
    twin_start = _twin_parent(store, due.start, training)
    parameters, seed = due.parameters, settings().seed
    common: dict[str, Any] = {
        "data_until": until,
        "parameters": parameters,
        "partitions": due.partitions,
        "blas": blas_kernel(),
        "partitions_digest": due.digest,
        "training_version": TRAINING_VERSION,
        "libraries": LIBRARIES,
        "seed": seed,
    }
    for path, data, origin in (
        (store.twin(identity), training, twin_start),
        (store.served(identity), interactions, due.start),
    ):
        weights = confidence(data, until, parameters)
        factors = fit(data, weights, parameters, seed, factors_of(origin) if origin else None)
        write_bundle(
            path,
            content(data, weights, factors),
            identity=identity,
            fit="warm" if origin else "cold",
            parent=origin.manifest.identity if origin else None,
            **common,
        )
    evaluation = evaluate(Bundle.open(store.twin(identity)), interactions.select(held))
    served = loss(interactions, weights, factors, parameters["regularization"])
    return DayModel(
        due.day,
        identity,
        due.parent,
        due.fit,
        until,
        due.digest,
        {
            **evaluation.metrics,
            "ratings": float(len(interactions)),
            "twin_warm": float(twin_start is not None),
            "loss": served,
            "month_loss": due.month_loss or served,
        },
    )


def _open_parent(
    store: BundleStore, parent: DayModel | None, until: str, parameters: Mapping[str, Any]
) -> Bundle | None:
    """The bundle a warm fit starts from: the day before's, in the same month, of the same
    parameters.
    """
    if parent is None or parent.identity is None or (parent.data_until or "")[:7] != until[:7]:
        return None
    if not store.complete(parent.identity):
        return None
    bundle = Bundle.open(store.served(parent.identity))
    found = bundle.manifest.parameters, bundle.manifest.training_version
    return bundle if found == (dict(parameters), TRAINING_VERSION) else None


def _twin_parent(store: BundleStore, start: Bundle | None, training: Interactions) -> Bundle | None:
    """The parent's twin, if each pair it was trained on is in `training`; else it has seen the
    holdout.
    """
    if start is None:
        return None
    twin = Bundle.open(store.twin(start.manifest.identity))
    users, known_users = rows_of(encode(training.user_ids), twin.user_ids)
    movies, known_movies = rows_of(encode(training.movie_ids), twin.item_ids)
    if not (known_users.all() and known_movies.all()):
        return None
    ours = training.matrix(np.ones(len(training), np.float32))[users]
    entries = np.ones(len(twin.seen_items), np.float32), movies[twin.seen_items], twin.seen_indptr
    theirs = sp.csr_matrix(entries, shape=ours.shape)
    return twin if theirs.multiply(ours).nnz == theirs.nnz else None


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
