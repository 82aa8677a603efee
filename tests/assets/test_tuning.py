"""A search for parameters: on the past alone, and a challenger like any other."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import numpy as np
import pytest

from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.settings import settings
from movierec_assets.training.als import ALS
from movierec_assets.training.plan import Recipe
from movierec_assets.tuning.search import new_study, search, walk_forward
from tests.conftest import Platform
from tests.support.generate import days_from
from tests.support.models import SMALL, interactions_of_tastes

DAYS = days_from("1998-03-02", 4)
BIG = {"users": 200, "movies": 120, "ratings": 1500}


def tune(platform: Platform, trials: int) -> dg.AssetMaterialization:
    job = platform.definitions.resolve_job_def("tuning")
    config = {"ops": {"tuned_parameters": {"config": {"trials": trials}}}}
    assert job.execute_in_process(instance=platform.instance, run_config=config).success
    return platform.events("tuned_parameters")[-1]


def set_poor(monkeypatch: pytest.MonkeyPatch, margin: float) -> None:
    """Settings that a search of a few trials finds better ones than, if not good ones."""
    for name, value in (
        ("FACTORS", 2),
        ("REGULARIZATION", 90),
        ("ALPHA", 0.2),
        ("GATE_MARGIN", margin),
    ):
        monkeypatch.setenv(f"MOVIEREC_{name}", str(value))
    settings.cache_clear()


def test_a_search_that_finds_better_parameters_leads_to_a_promotion_and_later_days_take_them(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_poor(monkeypatch, 0.2)
    platform.deliver(*DAYS[:3], **BIG)
    assert platform.run(DAYS[0], DAYS[2]).success
    before = platform.model_registry.versions()
    event = tune(platform, 9)
    tuned = platform.model_registry.production()
    assert event.metadata["verdict"].value == "passed", event.metadata["reason"].value
    assert "data:image/png;base64" in str(event.metadata["history"].value)
    assert (tuned.number, tuned.data_until, tuned.tags["tuned"]) == (
        len(before) + 1,
        DAYS[2],
        "true",
    )
    assert platform.events("production_model")[-1].metadata["version"].value == tuned.number

    platform.deliver(DAYS[3], **BIG)
    assert platform.run(DAYS[3]).success
    models = platform.warehouse.models()
    assert models[DAYS[2]].identity == tuned.identity
    assert (models[DAYS[3]].fit, models[DAYS[3]].parent) == ("warm", tuned.identity)
    with platform.warehouse.connect() as connection:
        connection.execute("DELETE FROM day_models")
    assert platform.run(DAYS[0], DAYS[3]).success  # a range ends as the days did
    again = platform.warehouse.models()
    assert {day: one.identity for day, one in again.items()} == {
        day: one.identity for day, one in models.items()
    }
    assert len(platform.model_registry.versions()) == len(before) + 2

    monkeypatch.setenv("MOVIEREC_FACTORS", "8")  # by hand: that wins
    settings.cache_clear()
    assert platform.run(DAYS[3], None, "als_model").success
    assert platform.warehouse.models()[DAYS[3]].identity not in {
        one.identity for one in models.values()
    }


def test_parameters_whose_model_the_gate_refuses_change_nothing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_REGULARIZATION", "15")
    settings.cache_clear()
    platform.deliver(*DAYS[:2], **BIG)
    assert platform.run(DAYS[0], DAYS[1]).success
    set_poor(monkeypatch, 0.01)  # the best of the few trials is worse than what the defaults gave
    models, production = platform.warehouse.models(), platform.model_registry.production()
    for _ in range(2):  # again: the same search, the same version, the same verdict
        event = tune(platform, 9)
        assert event.metadata["verdict"].value in ("refused", "insufficient_data")
    assert platform.model_registry.production() == production
    assert platform.warehouse.models() == models
    assert [one.tags.get("tuned") for one in platform.model_registry.versions()].count("true") == 1
    assert platform.query("SELECT count(*), min(verdict) != 'passed' FROM tuned_parameters") == [
        (1, True)
    ]


def test_slices_lie_before_the_gates_holdout_and_before_each_other() -> None:
    data = interactions_of_tastes()
    data = replace(data, rated_at=np.arange(len(data)))  # a moment names a rating
    later = set(data.rated_at[temporal_holdout(data)].tolist())
    for training, test in walk_forward(data):
        tested = set(test.rated_at.tolist())
        assert tested
        assert not later & (tested | set(training.rated_at.tolist()))
        later |= tested
        for user in range(0, len(test.user_ids), 20):
            known = training.user_ids.index(test.user_ids[user])
            assert (
                training.rated_at[training.users == known].max()
                < test.rated_at[test.users == user].min()
            )


def test_a_search_is_reproducible_and_resumes(tmp_path) -> None:  # type: ignore[no-untyped-def]
    data, storage = interactions_of_tastes(), f"sqlite:///{tmp_path / 'tuning.db'}"
    small = Recipe("als", ALS, {**SMALL, "iterations": 5}, 0)
    one = search(new_study("one", None, 0), data, "1998-03-04", small, 3)
    assert search(new_study("two", storage, 0), data, "1998-03-04", small, 3) == one
    resumed = new_study("two", storage, 0)
    search(resumed, data, "1998-03-04", small, 3)
    assert sum(trial.state.is_finished() for trial in resumed.trials) == 3
    assert resumed.trials[0].params["factors"] == SMALL["factors"]


def test_current_parameters_that_nothing_beats_are_what_is_found() -> None:
    """To the last bit: a rounded one would be another model, put to the gate for nothing."""
    current = {
        **SMALL,
        "iterations": 5,
        "alpha": 1.494382593103588,
        "regularization": 8.127065608431847,
    }
    assert (
        search(
            new_study("one", None, 0),
            interactions_of_tastes(),
            "1998-03-04",
            Recipe("als", ALS, current, 0),
            1,
        )
        == current
    )
