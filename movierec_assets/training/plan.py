"""The plan of a day: fit a model, inherit the day before's, or keep what there is.

Deciding only. What is known of the past is handed in, and whoever asks carries the plan out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from movierec_assets.errors import NotReadyError
from movierec_assets.training.day_model import DayModel
from movierec_assets.training.identity import model_identity, partitions_digest
from movierec_assets.training.trainer import Trainer
from movierec_serving.bundle import Bundle, Manifest


@dataclass(frozen=True)
class Recipe:
    """What is asked for, on any day."""

    arm: str
    trainer: Trainer
    parameters: Mapping[str, Any]
    seed: int
    by_size: frozenset[str] = frozenset()  # parameters that follow from the number of ratings


@dataclass(frozen=True)
class Past:
    """What the ledger and the models' table say as a day is planned.

    Attributes:
        partitions: (day, data version) of all accepted days that it is trained on.
        unjudged: delivered days up to it that have no verdict.
        untrained: judged days before it without a model, although the month has an earlier one.
        parent: the day before's model.
        current: the model that the day has.
    """

    partitions: Sequence[tuple[str, str]]
    unjudged: Sequence[str] = ()
    untrained: Sequence[str] = ()
    parent: DayModel | None = None
    current: DayModel | None = None


class Stored(Protocol):
    """What of the stored models decides a plan; read only where it does."""

    def start(self, identity: str) -> Bundle | None:
        """A model that a warm fit may start from; None if it, or its twin, is missing."""
        ...

    def sound(self, identity: str) -> bool:
        """Whether every byte of a model and its twin is as it was written."""
        ...


@dataclass(frozen=True)
class Fit:
    """A model is to be fitted."""

    day: str
    recipe: Recipe
    partitions: Sequence[tuple[str, str]]
    start: Bundle | None = None
    month_loss: float | None = None  # of the cold fit that the month's chain began with
    before: str | None = None  # the identity of the day before's model, warm or cold

    @property
    def earlier(self) -> tuple[tuple[str, str], ...]:
        """The partitions of days before it."""
        return tuple((day, version) for day, version in self.partitions if day < self.day)

    @property
    def fit(self) -> str:
        return "cold" if self.start is None else "warm"

    @property
    def parent(self) -> str | None:
        """The identity of the model that it starts from."""
        return self.start.manifest.identity if self.start else None

    @property
    def data_until(self) -> str:
        """The last day with ratings."""
        return self.partitions[-1][0]

    @cached_property
    def digest(self) -> str:
        """The digest of the partitions."""
        return partitions_digest(self.partitions)

    @cached_property
    def identity(self) -> str:
        """The identity of the model that comes out."""
        return model_identity(
            family=self.recipe.trainer.family,
            training_version=self.recipe.trainer.version,
            parameters=self.recipe.parameters,
            seed=self.recipe.seed,
            fit=self.fit,
            parent=self.parent,
            partitions_digest=self.digest,
            data_until=self.data_until,
        )


@dataclass(frozen=True)
class Inherit:
    """Nothing is to be fitted: the day has no ratings, and `model` is to be recorded."""

    model: DayModel


@dataclass(frozen=True)
class Keep:
    """The day has the model that it should have."""


Plan = Fit | Inherit | Keep


def plan_day(day: str, recipe: Recipe, past: Past, stored: Stored) -> Plan:
    """What is to be done for the model of a day.

    A model must not miss what a run beside it is still ingesting or about to train: order is
    checked here, not hoped for.

    Raises:
        NotReadyError: days that must come first, by name.
    """
    if past.unjudged:
        days = ", ".join(past.unjudged)
        raise NotReadyError(f"{day}: delivered days without a verdict: {days}; validate them first")
    if past.parent is None and past.untrained:
        # A cold fit would be another model than the warm one that follows once these are trained.
        days = ", ".join(past.untrained)
        raise NotReadyError(f"{day}: earlier days without a model: {days}; train them first")
    parent = past.parent if past.parent and past.parent.identity else None
    if not past.partitions or (parent is not None and past.partitions[-1][0] != day):
        model = _inherited(day, recipe, parent)
        return Keep() if model == past.current else Inherit(model)
    start = _start(recipe, past.partitions[-1][0], parent, stored)
    month_loss = parent.metrics.get("month_loss") if parent and start else None
    before = parent.identity if parent else None
    plan = Fit(day, recipe, past.partitions, start, month_loss, before)
    current = past.current
    if current is not None and current.identity == plan.identity and stored.sound(plan.identity):
        return Keep()
    return plan


def _inherited(day: str, recipe: Recipe, parent: DayModel | None) -> DayModel:
    if parent is None:
        return DayModel(
            day=day,
            identity=None,
            parent=None,
            fit="none",
            data_until=None,
            partitions_digest=None,
            metrics={},
            arm=recipe.arm,
        )
    return replace(parent, day=day, fit="inherited")


def _start(recipe: Recipe, until: str, parent: DayModel | None, stored: Stored) -> Bundle | None:
    """The model that a warm fit starts from: the day before's, in the same month, fitted by the
    same recipe.

    Raises:
        NotReadyError: it was lost.
    """
    if parent is None or parent.identity is None or not recipe.trainer.warm:
        return None
    if (parent.data_until or "")[:7] != until[:7]:
        return None
    bundle = stored.start(parent.identity)
    if bundle is None:  # a cold fit in its place would be another model, for good
        raise NotReadyError(
            f"the bundle or twin of {parent.day}'s model was lost: `movierec recover --apply` "
            f"makes it again, or materialize {recipe.arm}_model of its month up to {parent.day}"
        )
    return None if changes(recipe, bundle.manifest) else bundle


def changes(recipe: Recipe, manifest: Manifest) -> list[str]:
    """Say what a recipe asks for otherwise than a model was fitted; nothing if a warm fit may go on
    from it.
    """
    # What follows from the number of ratings changes every day, and is no change of the recipe.
    before = {**manifest.parameters, **{name: recipe.parameters[name] for name in recipe.by_size}}
    compared = {
        "family": (manifest.family, recipe.trainer.family),
        "training code": (manifest.training_version, recipe.trainer.version),
    }
    for name in sorted(before.keys() | recipe.parameters.keys()):
        compared[name] = before.get(name, "absent"), recipe.parameters.get(name, "absent")
    return [f"{name} {old} → {new}" for name, (old, new) in compared.items() if old != new]
