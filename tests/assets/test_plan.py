"""The plan of a day, from literals: what is fitted, from what, and what waits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from movierec_assets.errors import NotReadyError
from movierec_assets.training.als import ALS
from movierec_assets.training.day_model import DayModel
from movierec_assets.training.ease import EASE
from movierec_assets.training.plan import Fit, Inherit, Keep, Past, Plan, Recipe, changes, plan_day
from movierec_serving.bundle import Bundle
from tests.support import sample_models

BEFORE, DAY = "1998-03-03", "1998-03-04"
PARTITIONS = [(BEFORE, "a/1"), (DAY, "b/1")]
PARAMETERS = {"regularization": 12.0, "alpha": 0.6}
RECIPE = Recipe("als", ALS, PARAMETERS, 0)
PARENT = DayModel(BEFORE, "model-1", None, "cold", BEFORE, "p", {"month_loss": 0.5})


@dataclass
class Store:
    """Bundles in memory, by identity."""

    bundles: dict[str, Bundle] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)

    def start(self, identity: str) -> Bundle | None:
        return self.bundles.get(identity)

    def sound(self, identity: str) -> bool:
        return identity not in self.damaged


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The parent's bundle is there."""
    sample_models.write(tmp_path / "b", parameters=PARAMETERS)
    return Store({"model-1": Bundle.open(tmp_path / "b")})


def planned(past: Past, store: Store, recipe: Recipe = RECIPE, day: str = DAY) -> Plan:
    return plan_day(day, recipe, past, store)


def test_a_day_with_ratings_is_fitted_warm_from_the_day_before(store: Store) -> None:
    plan = planned(Past(PARTITIONS, parent=PARENT), store)
    assert isinstance(plan, Fit)
    assert (plan.fit, plan.parent, plan.data_until) == ("warm", "model-1", DAY)
    assert plan.month_loss == 0.5


@pytest.mark.parametrize(
    ("parent", "recipe"),
    [
        (None, RECIPE),
        (replace(PARENT, identity=None), RECIPE),  # no rating had been accepted
        (replace(PARENT, data_until="1998-02-28"), RECIPE),  # a new month
        (PARENT, replace(RECIPE, parameters={**PARAMETERS, "alpha": 0.7})),
        (PARENT, replace(RECIPE, trainer=replace(ALS, version="2"))),
        (PARENT, replace(RECIPE, trainer=EASE)),  # it starts from none
    ],
)
def test_else_it_is_fitted_cold(parent: DayModel | None, recipe: Recipe, store: Store) -> None:
    plan = planned(Past(PARTITIONS, parent=parent), store, recipe)
    assert isinstance(plan, Fit)
    assert (plan.fit, plan.parent, plan.month_loss) == ("cold", None, None)


def test_what_is_asked_for_otherwise_is_said_before_it_is_trained(store: Store) -> None:
    manifest = store.bundles["model-1"].manifest
    assert changes(RECIPE, manifest) == []
    assert changes(replace(RECIPE, by_size=frozenset({"alpha"})), manifest) == []
    other = replace(ALS, version="9")
    asked = replace(
        RECIPE, trainer=other, parameters={"alpha": 0.7, "regularization": 12.0, "x": 1}
    )
    found = ["training code 1 → 9", "alpha 0.6 → 0.7", "x absent → 1"]
    assert changes(asked, manifest) == found


def test_a_day_without_ratings_inherits_the_day_befores_model(store: Store) -> None:
    past = Past(PARTITIONS[:1], parent=PARENT)
    inherited = replace(PARENT, day=DAY, fit="inherited")
    assert planned(past, store) == Inherit(inherited)
    assert planned(replace(past, current=inherited), store) == Keep()


def test_before_the_first_rating_there_is_no_model(store: Store) -> None:
    none = DayModel(DAY, None, None, "none", None, None, {}, "ease")
    recipe = Recipe("ease", EASE, {}, 0)
    assert planned(Past([]), store, recipe) == Inherit(none)
    assert planned(Past([], current=none), store, recipe) == Keep()


def test_a_day_that_has_its_model_keeps_it_while_the_files_are_sound(store: Store) -> None:
    fit = planned(Past(PARTITIONS, parent=PARENT), store)
    assert isinstance(fit, Fit)
    current = replace(PARENT, day=DAY, identity=fit.identity)
    past = Past(PARTITIONS, parent=PARENT, current=current)
    assert planned(past, store) == Keep()
    assert isinstance(planned(past, store, replace(RECIPE, seed=1)), Fit)
    store.damaged.add(fit.identity)
    assert isinstance(planned(past, store), Fit)


def test_days_that_must_come_first_are_named(store: Store) -> None:
    lost = replace(PARENT, identity="lost")
    with pytest.raises(NotReadyError, match=f"{BEFORE}'s model was lost.* als_model of its month"):
        planned(Past(PARTITIONS, parent=lost), store)
    with pytest.raises(NotReadyError, match=f"{DAY}: .* without a verdict: 1998-03-02, {BEFORE};"):
        planned(Past(PARTITIONS, unjudged=["1998-03-02", BEFORE], parent=PARENT), store)
    gap = Past(PARTITIONS, untrained=[BEFORE])
    with pytest.raises(NotReadyError, match=f"{DAY}: earlier days without a model: {BEFORE};"):
        planned(gap, store)


def test_the_name_of_a_model_of_als_says_nothing_of_its_family() -> None:
    """As 0.2.0 named it: sha256 of the canonical JSON."""
    als, ease = (
        Fit(DAY, Recipe("als", replace(trainer, version="1"), PARAMETERS, 0), PARTITIONS)
        for trainer in (ALS, EASE)
    )
    assert als.identity == "f28b7561b20d37e45e5ad200b8edb84a8cc99b74497eac16a338ff10b3efd620"
    assert ease.identity != als.identity
