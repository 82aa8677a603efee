"""The two fits of a day: the twin, which is evaluated, and the model that is served.

Arrays in, contents out: reading ratings and writing bundles are the callers' business.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from movierec_assets.evaluation.judged import Pairs
from movierec_assets.evaluation.offline import encode, evaluate, rows_of
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.ratings.interactions import Interactions
from movierec_assets.training.day_model import DayModel
from movierec_assets.training.machine import versions_of
from movierec_assets.training.plan import Fit
from movierec_assets.training.trainer import all_fitted
from movierec_serving.bundle import Bundle, BundleContent, Model, Provenance


@dataclass(frozen=True)
class Trained:
    """A fitted model, as it is to be written."""

    content: BundleContent
    provenance: Provenance


@dataclass(frozen=True)
class TrainedDay:
    """What a day's training gives; `model` is the record of it, with the twin's evaluation."""

    served: Trained
    twin: Trained
    model: DayModel


def train_day(plan: Fit, interactions: Interactions, parent_twin: Bundle | None) -> TrainedDay:
    """Fit the twin without the holdout, evaluate it on the holdout, fit the served model on all.

    Args:
        interactions: all that the plan's partitions hold.
        parent_twin: the twin of the plan's start, None for a cold fit.
    """
    held = temporal_holdout(interactions)
    training = interactions.select(~held)
    # A twin must start from none that has seen its holdout: late or repeated ratings move it.
    twin_start = parent_twin if parent_twin and _nested(parent_twin, training) else None
    parameters, trainer, seed = plan.recipe.parameters, plan.recipe.trainer, plan.recipe.seed
    cases = (training, twin_start), (interactions, plan.start)
    contents = all_fitted(trainer, cases, plan.data_until, parameters, seed)
    twin = Trained(contents[0], _provenance(plan, twin_start))
    served = Trained(contents[1], _provenance(plan, plan.start))

    evaluation = evaluate(twin.content.model(parameters), interactions.select(held))
    metrics = {
        **evaluation.metrics,
        "ratings": float(len(interactions)),
        "twin_warm": float(twin_start is not None),
    }
    if trainer.loss is not None:
        weights = served.content.seen_confidence
        loss = trainer.loss(interactions, weights, served.content.model(parameters), parameters)
        metrics |= {"loss": loss, "month_loss": plan.month_loss or loss}
    model = DayModel(
        day=plan.day,
        identity=plan.identity,
        parent=plan.parent,
        fit=plan.fit,
        data_until=plan.data_until,
        partitions_digest=plan.digest,
        metrics=metrics,
        arm=plan.recipe.arm,
    )
    return TrainedDay(served, twin, model)


def _provenance(plan: Fit, start: Bundle | None) -> Provenance:
    """What the model that was fitted from this start was made from."""
    recipe = plan.recipe
    return Provenance(
        identity=plan.identity,
        family=recipe.trainer.family,
        data_until=plan.data_until,
        parent=start.manifest.identity if start else None,
        fit="warm" if start else "cold",
        seed=recipe.seed,
        parameters=recipe.parameters,
        partitions=tuple(plan.partitions),
        partitions_digest=plan.digest,
        training_version=recipe.trainer.version,
        libraries=versions_of(recipe.trainer.libraries),
        blas=recipe.trainer.kernel(),
    )


def _nested(twin: Model, training: Interactions) -> bool:
    """Whether each pair that `twin` was trained on is in `training`."""
    users, known_users = rows_of(encode(training.user_ids), twin.user_ids)
    movies, known_movies = rows_of(encode(training.movie_ids), twin.item_ids)
    if not (known_users.all() and known_movies.all()):
        return False
    rated, count = np.diff(twin.seen_indptr), len(training.movie_ids)
    if (np.diff(training.indptr)[users] < rated).any():
        return False
    # Most users rated nothing since: their pairs stand where they stood. The others are looked up.
    places = np.repeat(training.indptr[users] - twin.seen_indptr[:-1], rated)
    places += np.arange(len(places))
    theirs = movies[twin.seen_items]
    moved = np.flatnonzero(training.movies[places] != theirs)
    del places
    owners = users[np.searchsorted(twin.seen_indptr, moved, "right") - 1]
    ours = Pairs.ascending(training.users, training.movies, count)
    return bool(ours.hold(owners * count + theirs[moved]).all())
