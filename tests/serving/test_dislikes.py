"""Answers to those who hated what others loved, and to those for whom nothing speaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from bench.models.chain import PARAMETERS
from movierec_assets.ratings.interactions import interactions_of
from movierec_assets.training.als import ALS
from movierec_assets.training.trainer import fitted
from movierec_serving.bundle import publish
from tests.support import sample_models
from tests.support.endpoint_process import EndpointProcess

OWN = [f"m{number:02d}" for number in range(0, 24, 4)]  # six movies of the taste that is asked for


def ratings() -> pd.DataFrame:
    """Four tastes of six movies each; a lover and a hater of the first, and one who rated all."""
    random = np.random.default_rng(3)
    rows = []
    for user in range(60):
        for movie in range(24):
            own = user % 4 == movie % 4
            if random.random() < (0.8 if own else 0.25):
                stars = random.integers(8, 11) / 2 if own else random.integers(2, 7) / 2
                rows.append((f"u{user:02d}", f"m{movie:02d}", stars))
    rows += [("lover", movie, 5.0) for movie in OWN[:4]]
    rows += [("hater", movie, 0.5) for movie in OWN[:4]]
    rows += [("all", f"m{movie:02d}", 4.0) for movie in range(24)]
    frame = pd.DataFrame(rows, columns=["user_id", "movie_id", "rating"])
    return frame.assign(rated_at=np.arange(len(frame)), day="2026-03-01", record=frame.index)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EndpointProcess]:
    home = tmp_path_factory.mktemp("dislikes")
    process = EndpointProcess(home)
    data = interactions_of(ratings())
    parameters = {**PARAMETERS, "regularization": 3.5}
    sample_models.write(
        home / "bundle", fitted(ALS, data, "2026-03-01", parameters, 0), parameters=parameters
    )
    publish(home / "bundle", process.store, 1, {})
    try:
        process.start()
        assert process.reload(1).status_code == 200
        yield process
    finally:
        process.close()


def answer(endpoint: EndpointProcess, path: str, body: Any = None) -> dict[str, Any]:
    url = f"{endpoint.url}{path}"
    found = httpx.get(url) if body is None else httpx.post(url, json=body)
    assert found.status_code == 200, found.text
    return dict(found.json())


def ids(found: dict[str, Any]) -> set[str]:
    return {item["movie_id"] for item in found["items"]}


def test_who_hates_a_set_and_who_loves_it_get_other_movies(endpoint: EndpointProcess) -> None:
    hater, lover = (answer(endpoint, f"/recommend/{user}?n=6") for user in ("hater", "lover"))
    assert len(ids(hater) & ids(lover)) <= 1
    assert set(OWN[4:]) <= ids(lover)
    assert not set(OWN) & ids(hater)
    assert (hater["source"], hater["fallback_reason"]) == ("popular", "no_liked_movie")


def test_folded_in_they_differ_as_well(endpoint: EndpointProcess) -> None:
    def asked(stars: float) -> dict[str, Any]:
        rated = [{"movie_id": movie, "rating": stars} for movie in OWN[:4]]
        return answer(endpoint, "/recommend", {"ratings": rated, "n": 6})

    hater, lover = asked(0.5), asked(5.0)
    assert len(ids(hater) & ids(lover)) <= 1
    assert lover["source"] == "fold_in"
    assert hater["fallback_reason"] == "no_liked_movie"


def test_a_disliked_movie_explains_nothing(endpoint: EndpointProcess) -> None:
    rated = [{"movie_id": OWN[0], "rating": 5.0}, {"movie_id": "m01", "rating": 0.5}]
    found = answer(endpoint, "/recommend", {"ratings": rated, "n": 6, "explain": True})
    reasons = {reason["movie_id"] for item in found["items"] for reason in item["because"]}
    assert reasons == {OWN[0]}


def test_a_user_who_rated_everything_is_told_that_nothing_is_left(
    endpoint: EndpointProcess,
) -> None:
    found = answer(endpoint, "/recommend/all?n=5")
    assert found["items"] == []
    assert found["fallback_reason"] == "nothing_left"


def test_popular_movies_are_liked_ones_and_their_score_says_how_much(
    endpoint: EndpointProcess,
) -> None:
    scores = [item["score"] for item in answer(endpoint, "/popular?n=24")["items"]]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0
