"""The two fits of a day: the twin, which is evaluated, and the model that is served.

Arrays in, contents out: reading ratings and writing bundles are the callers' business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """What a day's training gives beside the twin; `model` is the record, with its evaluation."""

    served: Trained
    model: DayModel


def train_day(
    plan: Fit,
    interactions: Interactions,
    parent_twin: Bundle | None,
    write_twin: Callable[[Trained], object],
) -> TrainedDay:
    """Fit the twin without the holdout, evaluate it on the holdout, fit the served model on all.

    Args:
        interactions: all that the plan's partitions hold.
        parent_twin: the twin of the plan's start, None for a cold fit.
        write_twin: called before the served model is fitted: both would be much to hold at once.
    """
    held = temporal_holdout(interactions)
    # A twin must start from none that has seen its holdout: late or repeated ratings move it.
    warm = parent_twin is not None and nested(parent_twin, interactions, ~held)
    twin_start = parent_twin if warm else None
    parameters, trainer, seed = plan.recipe.parameters, plan.recipe.trainer, plan.recipe.seed

    def cases() -> Iterator[tuple[Interactions, Model | None]]:
        yield interactions.select(~held), twin_start
        yield interactions, plan.start

    contents = all_fitted(trainer, cases(), plan.data_until, parameters, seed)
    twin = Trained(next(contents), _provenance(plan, twin_start))
    evaluation = evaluate(twin.content.model(parameters), interactions.select(held))
    write_twin(twin)
    del twin
    served = Trained(next(contents), _provenance(plan, plan.start))
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
    return TrainedDay(served, model)


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


def nested(twin: Model, data: Interactions, kept: NDArray[np.bool_]) -> bool:
    """Whether each pair that `twin` was trained on is among those of `data` where `kept` (N,)."""
    users, known_users = rows_of(encode(data.user_ids), twin.user_ids)
    movies, known_movies = rows_of(encode(data.movie_ids), twin.item_ids)
    if not (known_users.all() and known_movies.all()):
        return False
    before, counts = np.diff(twin.seen_indptr), np.diff(data.indptr)
    now = np.add.reduceat(kept, data.indptr[:-1], dtype=np.int64)
    if (now[users] < before).any():
        return False
    # Most users have as many pairs as before: theirs must be the same. The others' are looked up.
    same = now[users] == before
    others = np.ones(len(counts), np.bool_)
    others[users[same]] = False
    here, there = kept & np.repeat(~others, counts), np.repeat(same, before)
    theirs = movies.astype(np.int32)[twin.seen_items]
    if not np.array_equal(data.movies[here], theirs[there]):
        return False
    more, count = kept & ~here, len(data.movie_ids)
    owners = np.repeat(users[~same], before[~same])
    ours = Pairs.ascending(data.users[more], data.movies[more], count)
    return bool(not len(owners) or ours.hold(owners * count + theirs[~there]).all())
