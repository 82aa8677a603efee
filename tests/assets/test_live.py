"""What the live endpoint answers, evaluated over HTTP against a real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from movierec_assets.defs.monitoring.live import evaluate_live
from movierec_assets.defs.shared.keys import SERVED_MODEL
from movierec_assets.monitoring.live import unseen, wrong_lists
from movierec_assets.settings import settings
from movierec_serving.bundle import Bundle, BundleContent, publish, recommend
from tests.assets.test_production import webhook
from tests.conftest import Platform
from tests.support import sample_models
from tests.support.endpoint_process import TOKEN, EndpointProcess
from tests.support.generate import days_from
from tests.support.models import interactions_of_tastes, trained

DAYS = days_from("1998-03-28", 3)


@pytest.fixture
def endpoint(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EndpointProcess]:
    """On the platform's store; the platform's only endpoint."""
    process = EndpointProcess(platform.home)
    monkeypatch.setenv("MOVIEREC_ENDPOINTS", process.url)
    monkeypatch.setenv("MOVIEREC_RELOAD_TOKEN", TOKEN)
    settings.cache_clear()
    try:
        yield process.start()
    finally:
        process.close()


def evaluations(platform: Platform, check: str) -> list[dg.AssetCheckEvaluation]:
    """Newest first."""
    history = platform.instance.event_log_storage.get_asset_check_execution_history
    return [
        one.evaluation
        for one in history(dg.AssetCheckKey(SERVED_MODEL, check), limit=9)
        if one.evaluation
    ]


def due(platform: Platform) -> bool:
    return isinstance(evaluate_live(platform=platform.wired), dg.RunRequest)


def test_each_deployment_is_evaluated_over_http(
    platform: Platform, endpoint: EndpointProcess
) -> None:
    platform.deliver(*DAYS)
    assert platform.run(DAYS[0], DAYS[1]).success
    assert platform.run("-", job="deploy").success
    (answers,) = evaluations(platform, "live_answers")
    assert (answers.passed, answers.description) == (True, "120 lists are the model's")
    assert 0 < answers.metadata["p50 ms"].value <= answers.metadata["p99 ms"].value
    store = platform.wired.published_models
    published = store.open(store.versions()[-1])
    listed = [
        (published.bundle.user_id(user), rank + 1, published.bundle.item_id(item))
        for user, items in enumerate(published.top_items)
        for rank, item in enumerate(items.tolist())
        if item >= 0
    ]
    rows = platform.query("SELECT user_id, rank, movie_id FROM served_model")
    assert sorted(rows) == sorted(listed)
    assert not due(platform)
    assert platform.run("-", job="live").success
    (accuracy,) = evaluations(platform, "live_accuracy")
    assert accuracy.passed
    assert accuracy.description.startswith("not yet")
    assert platform.run(DAYS[2]).success
    assert due(platform)  # the day has ratings, and version 2 is still served
    assert platform.run("-", job="deploy").success
    accuracy, _ = evaluations(platform, "live_accuracy")
    figures = {name: value.value for name, value in accuracy.metadata.items()}
    assert (figures["version"], figures["days"]) == (2, f"after {DAYS[1]}, until {DAYS[2]}")
    assert figures["hit_rate_at_10"] > 0
    history = platform.instance.event_log_storage.get_asset_check_execution_history
    (record,) = history(dg.AssetCheckKey(SERVED_MODEL, "live_accuracy"), limit=1)
    (served,) = platform.instance.fetch_materializations(SERVED_MODEL, limit=1).records
    assert record.run_id == served.run_id  # else Dagster shows it as not evaluated
    assert not due(platform)
    assert endpoint.client.put(
        "/blocklist/m1", headers={"Authorization": f"Bearer {TOKEN}"}
    ).is_success
    assert platform.run("-", job="deploy").success  # what is blocked is no error
    assert evaluations(platform, "live_answers")[0].passed
    # taken back to the version before: it does not know what people rated on the third day
    platform.model_registry.change("pin", 2, "a test")
    assert platform.run("-", job="deploy").success
    pinned = evaluations(platform, "live_answers")[0]
    assert pinned.passed
    assert "are of people who did something since" in pinned.description


def test_an_endpoint_that_answers_something_else_fails_the_check_and_is_told_once(
    platform: Platform, endpoint: EndpointProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.deliver(DAYS[0])
    assert platform.run(DAYS[0]).success
    with webhook() as (url, texts):
        monkeypatch.setenv("MOVIEREC_WEBHOOK", url)
        settings.cache_clear()
        model = Bundle.open(
            platform.bundle_store.served(platform.model_registry.production().identity)
        )
        other = platform.home / "other"
        arrays = model.family.arrays
        turned = np.ascontiguousarray(arrays["user_factors"][::-1])
        content = BundleContent(
            family="als",
            own={"user_factors": turned, "item_factors": arrays["item_factors"]},
            user_ids=[key.decode() for key in model.user_ids.tolist()],
            item_ids=[key.decode() for key in model.item_ids.tolist()],
            seen_indptr=model.seen_indptr,
            seen_items=model.seen_items,
            seen_ratings=model.seen_ratings,
            seen_confidence=model.seen_confidence,
            popularity=model.popularity,
        )
        sample_models.write(other, content, identity=model.manifest.identity)
        publish(
            other, platform.root / "models", 1, {}
        )  # what the store has as version 1 is left there
        for _ in range(2):
            assert platform.run("-", job="deploy").success
    found = evaluations(platform, "live_answers")
    assert [one.passed for one in found] == [False, False]
    assert "the model says" in str(found[0].description)
    (text,) = texts
    assert text.startswith("live_answers failed: ")


def test_a_list_is_wrong_with_a_seen_movie_another_order_or_a_movie_missing() -> None:
    bundle = trained(interactions_of_tastes())
    rows, _ = recommend(bundle, [0], 12)
    best = [bundle.item_id(int(row)) for row in rows[0]]
    user, seen = bundle.user_id(0), bundle.item_id(int(bundle.seen(0)[0]))

    def wrong(*movies: str, blocked: str = "") -> str | None:
        return wrong_lists(bundle, {user: movies}, 10, lambda movie: movie == blocked).get(user)

    assert wrong(*best[:10]) is None
    assert wrong(*best[:2], *best[3:11], blocked=best[2]) is None
    assert "the model says" in str(wrong(*best[:2], *best[3:11]))
    assert "the model says" in str(wrong(best[1], best[0], *best[2:10]))
    assert wrong(*best[:9], seen) == f"seen before: {seen}"
    assert wrong_lists(bundle, {"nobody": best[:10]}, 10, lambda _: False)["nobody"]


def test_ratings_of_movies_that_were_seen_before_do_not_count() -> None:
    data = interactions_of_tastes()
    early = np.arange(len(data)) % 2 == 0
    assert len(unseen(trained(data.select(early)), data)) == (~early).sum()
