"""What a trainer is, and what it makes of a day's ratings. The trainers are the files beside this.

A trainer fits; a family, in `movierec_serving.bundle.families`, says what a fitted model is. A
family has one trainer: manifests and identities name the family alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from movierec_assets.ratings.interactions import Interactions, confidence
from movierec_assets.training.machine import blas_kernel
from movierec_serving.bundle import BundleContent, Model

Weights = NDArray[np.float32]  # (N,) of the interactions
Parameters = Mapping[str, Any]
Arrays = Mapping[str, NDArray[np.float32]]  # a family's own, by name
Range = tuple[int, int] | tuple[float, float]  # both ends included; of what type they are, so is it


class Fit(Protocol):
    """A function that fits: the same inputs give the same bits, and are left as they were."""

    def __call__(
        self,
        data: Interactions,
        weights: Weights,
        parameters: Parameters,
        seed: int,
        parent: Model | None,
        /,
    ) -> Arrays:
        """The family's arrays, in the rows of the ids of `data`.

        Args:
            weights: 0 leaves a pair out, as neither liked nor unseen.
            parent: where a warm fit starts; None for a cold one.
        """
        ...


class Case(NamedTuple):
    """What one of several fits has of its own."""

    data: Interactions
    weights: Weights
    parent: Model | None


# Several cases, parameters and seed in; the arrays of each out, as `Fit` gives them.
FitAll = Callable[[Sequence[Case], Parameters, int], list[Arrays]]


class Loss(Protocol):
    """What the fit minimises, as a mean, so that days can be compared."""

    def __call__(
        self, data: Interactions, weights: Weights, model: Model, parameters: Parameters, /
    ) -> float: ...


@dataclass(frozen=True)
class Residuals:
    """How far a model's vectors are from solving the equations of its own ratings.

    |gradient| / |right side| over all rows of a side: 0 where they are solved exactly. The side
    that was solved last is all but exact in any model that is whole.
    """

    users: float
    movies: float

    def larger(self, other: Residuals) -> Residuals:
        """Take the larger residual of each side."""
        return Residuals(max(self.users, other.users), max(self.movies, other.movies))


@dataclass(frozen=True)
class Trainer:
    """How models of a family are fitted.

    Attributes:
        family: of the bundles that it makes.
        version: raised when a change of its code changes the arrays. It is part of a model's
            identity; the git commit is not.
        libraries: whose versions are recorded beside a model.
        settings: the setting that gives each parameter, by the parameter's name.
        warm: whether a fit can start from the day before's model.
        residuals: of a model of the family, where its fit solves equations.
        by_size: what a parameter is for so many ratings, where the settings leave it open.
        fit_all: fits several cases at less than the cost of each by itself; None for no such way.
        ranges: of the parameters that a search may change, beside the weighting.
        kernel: BLAS's of the last fit, on which its bits depend.
    """

    family: str
    version: str
    libraries: tuple[str, ...]
    settings: Mapping[str, str]
    fit: Fit
    fit_all: FitAll | None = None
    warm: bool = False
    loss: Loss | None = None
    residuals: Callable[[Model], Residuals] | None = None
    ranges: Mapping[str, Range] = field(default_factory=dict)
    by_size: Mapping[str, Callable[[int], float]] = field(default_factory=dict)
    kernel: Callable[[], str] = blas_kernel

    def sized(self, parameters: Parameters, ratings: int) -> dict[str, Any]:
        """The parameters, with those that are left open set for so many ratings."""
        open_ones = [name for name in self.by_size if parameters.get(name) is None]
        return {**parameters, **{name: self.by_size[name](ratings) for name in open_ones}}

    def parameters(self, settings: object) -> dict[str, Any]:
        """What decides a fit besides data, seed and parent, from an object that holds settings."""
        return {name: getattr(settings, setting) for name, setting in self.settings.items()}


def fitted(
    trainer: Trainer,
    data: Interactions,
    until: str,
    parameters: Parameters,
    seed: int,
    parent: Model | None = None,
) -> BundleContent:
    """Fit, and put beside the family's arrays what every bundle holds.

    Args:
        until: the last day of the data (ISO): ages are counted from its end.
    """
    case = Case(data, confidence(data, until, parameters), parent)
    own = trainer.fit(data, case.weights, parameters, seed, parent)
    return _content(trainer, case, own, until)


def all_fitted(
    trainer: Trainer,
    cases: Iterable[tuple[Interactions, Model | None]],
    until: str,
    parameters: Parameters,
    seed: int,
) -> Iterator[BundleContent]:
    """Fit several times, together where the trainer can; else as `fitted`, each when asked for.

    Args:
        cases: the data and the parent of each.
    """
    if trainer.fit_all is None:
        return (fitted(trainer, data, until, parameters, seed, parent) for data, parent in cases)
    weighted = [Case(data, confidence(data, until, parameters), parent) for data, parent in cases]
    own = trainer.fit_all(weighted, parameters, seed)
    return (
        _content(trainer, case, arrays, until) for case, arrays in zip(weighted, own, strict=True)
    )


def _content(trainer: Trainer, case: Case, own: Arrays, until: str) -> BundleContent:
    data = case.data
    return BundleContent(
        family=trainer.family,
        own=own,
        user_ids=data.user_ids,
        item_ids=data.movie_ids,
        seen_indptr=data.indptr,
        seen_items=data.movies,
        seen_ratings=data.ratings,
        seen_confidence=case.weights,
        popularity=data.popularity,
        rated_at=data.rated_at,
        until=until,
    )
