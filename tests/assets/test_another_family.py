"""EASE in place of ALS, switched on in the middle: the same chain, asset by asset."""

from __future__ import annotations

import json
from collections import Counter

import dagster as dg
import pytest

from movierec_assets.cli.verify import verify
from movierec_assets.exporting.losses import loss_metrics
from movierec_assets.maintenance.losses import losses
from movierec_assets.maintenance.recovery import record_models
from movierec_assets.settings import settings
from movierec_serving.bundle import Bundle
from movierec_serving.http.recommender import Recommender
from movierec_serving.http.schemas.requests import NewUser, Options
from movierec_serving.model.holder import ModelHolder
from tests.conftest import Platform
from tests.support.generate import days_from

DAYS = days_from("1998-03-02", 4)
MODELS = "SELECT day::VARCHAR, arm, identity, parent, fit FROM day_models ORDER BY day"
SIZE = {"users": 120, "movies": 120, "ratings": 1500}


@pytest.fixture
def switched(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Two days with ALS, two with EASE, which reaches production."""
    platform.deliver(*DAYS, **SIZE)
    assert platform.run(DAYS[0], DAYS[1]).success
    monkeypatch.setenv("MOVIEREC_MODEL", "ease")
    settings.cache_clear()
    assert platform.run(DAYS[2], DAYS[3]).success
    return platform


def test_ease_takes_the_place_of_als(switched: Platform) -> None:
    assert switched.query("SELECT day::VARCHAR, arm, fit FROM day_models ORDER BY day") == [
        (DAYS[0], "als", "cold"),
        (DAYS[1], "als", "warm"),
        (DAYS[2], "ease", "cold"),
        (DAYS[3], "ease", "cold"),
    ]
    assert switched.query("SELECT count(*) FROM als_model") == [(2,)]  # what users' SQL may name
    assert [event.partition for event in switched.events("als_model")] == DAYS[:2]
    assert [event.partition for event in switched.events("ease_model")] == DAYS[2:]

    als, challenger = switched.model_registry.versions()[1:3]
    run = switched.model_registry.client().get_run(challenger.run_id).data
    assert run.params["family"] == "ease"
    assert {"regularization", "weighting"} < run.params.keys()
    assert "factors" not in run.params
    # judged against ALS, by the same gate
    judged = switched.events("gate_verdict")[2].metadata
    assert judged["verdict"].value == "passed", judged["reason"].value
    figures = {row.data["figure"]: row.data for row in judged["references"].records}
    assert float(figures["ndcg_at_10"]["production"]) > 0
    assert f"{als.gate}" == "passed"

    production = switched.model_registry.production()
    assert production.data_until == DAYS[3]
    bundle = Bundle.open(switched.bundle_store.served(production.identity), verify=True)
    assert bundle.manifest.family == "ease"
    assert all(rebuilt.identical for rebuilt in verify(settings(), production.number))
    assert all(rebuilt.identical for rebuilt in verify(settings(), als.number))

    again = switched.run(DAYS[2], DAYS[3])  # what is current is kept
    assert again.success
    assert len(switched.model_registry.versions()) == 4


def test_what_is_lost_is_said_and_recorded_again_of_each_arm(switched: Platform) -> None:
    (counted,) = loss_metrics(switched.wired)
    said = Counter(loss.store for loss in losses(switched.wired))
    assert {sample.labels["store"]: sample.value for sample in counted.samples} == said
    assert "movierec.duckdb" not in said
    rows = switched.query(MODELS)
    with switched.warehouse.connect() as connection:
        connection.execute("DELETE FROM day_models")
    assert record_models(switched.wired) == DAYS
    assert switched.query(MODELS) == rows


def test_an_endpoint_answers_folds_in_and_explains(switched: Platform) -> None:
    production = switched.model_registry.production()
    switched.wired.published_models.publish(
        switched.bundle_store.served(production.identity), production.number, {}
    )
    holder = ModelHolder(switched.root / "models", switched.root / "models" / ".serving-1")
    holder.pointer.store(production.number)
    recommender = Recommender(holder, Options(n=5, explain=True))
    bundle = recommender.model.bundle
    known = json.loads(recommender.for_user(bundle.user_id(3)).body)
    assert known["source"] == "ease"
    assert len(known["items"]) == 5
    for item in known["items"]:
        assert 0 < len(item["because"]) <= 3
        assert all(0 < reason["share"] <= 1 for reason in item["because"])

    rated = [
        {"movie_id": bundle.item_id(int(row)), "rating": float(stars)}
        for row, stars in zip(
            bundle.seen(3),
            bundle.seen_ratings[bundle.seen_indptr[3] : bundle.seen_indptr[4]],
            strict=True,
        )
    ]
    new = json.loads(recommender.for_user(NewUser(ratings=rated)).body)
    assert new["source"] == "fold_in"
    ids = [[item["movie_id"] for item in answer["items"]] for answer in (known, new)]
    assert ids[0] == ids[1]  # the same ratings, whether the model knows the person or not


def test_another_family_is_trained_beside_the_served_one(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_ALSO_TRAIN", "ease")
    settings.cache_clear()
    platform.deliver(*DAYS[:2], **SIZE)
    assert platform.run(DAYS[0], DAYS[1]).success
    assert platform.query("SELECT arm, count(*) FROM day_models GROUP BY arm ORDER BY arm") == [
        ("als", 2),
        ("ease", 2),
    ]
    beside = platform.warehouse.models(arm="ease")[DAYS[1]]
    assert beside.metrics["ndcg_at_10"] > beside.metrics["popularity_ndcg_at_10"]
    assert "loss" not in beside.metrics
    families = [
        Bundle.open(platform.bundle_store.served(version.identity)).manifest.family
        for version in platform.model_registry.versions()
    ]
    assert families == ["als", "als"]
    described = platform.events("ease_model")[1].metadata
    assert described["NDCG@10"].value == pytest.approx(beside.metrics["ndcg_at_10"], abs=1e-5)


def test_a_stage_takes_its_models_from_the_served_arm(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for model in ("als", "ease"):
        monkeypatch.setenv("MOVIEREC_MODEL", model)
        settings.cache_clear()
        graph = platform.definitions.resolve_asset_graph()
        for stage in ("registered_model", "tuned_parameters"):
            assert graph.get(dg.AssetKey(stage)).parent_keys == {dg.AssetKey(f"{model}_model")}
        assert {key.asset_key for key in graph.asset_check_keys} >= {dg.AssetKey(f"{model}_model")}
