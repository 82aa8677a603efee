"""Events: kept when acknowledged, and known to every list from then on."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from movierec_serving.bundle import PublishedModel
from movierec_serving.events.log import EventLog
from movierec_serving.http.routes.events import ANOTHER
from tests.serving.conftest import sample_endpoint
from tests.serving.test_endpoint import WAYS, ask
from tests.support.endpoint_process import EndpointProcess

NOW = int(time.time())


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EndpointProcess]:
    """This module's: what users do is kept, and is in their lists from then on."""
    with sample_endpoint(tmp_path_factory.mktemp("endpoint")) as process:
        yield process


@pytest.fixture
def served(endpoint: EndpointProcess) -> PublishedModel:
    """Version 2, live and as it lies in the store."""
    assert endpoint.reload(2).status_code == 200
    return PublishedModel.open(endpoint.store, 2)


def send(endpoint: EndpointProcess, *events: dict[str, Any]) -> list[dict[str, Any]]:
    answer = endpoint.client.post("/events", json={"events": list(events)})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["results"])


def did(user: str, movie: str, type_: str = "rating", value: float | None = 5.0) -> dict[str, Any]:
    event = {"user_id": user, "movie_id": movie, "type": type_, "timestamp": NOW}
    return event if value is None else {**event, "value": value}


def listed(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["movie_id"] for item in answer.json()["items"]]


@pytest.mark.parametrize("way", WAYS)
def test_what_somebody_did_changes_their_next_list(
    endpoint: EndpointProcess, served: PublishedModel, way: str
) -> None:
    """Whoever answers: the events are in no model, and every process knows them."""
    user = {"GET": "u1", "POST": "u2"}[way]
    before = listed(ask(endpoint, way, user, n=100))
    loved, passed = before[3], before[5]
    result = send(endpoint, did(user, loved), did(user, passed, "dismiss", None))
    assert [one["status"] for one in result] == ["kept", "kept"]
    for _ in range(6):  # by one process or another
        answer = ask(endpoint, way, user, n=100, explain=True)
        assert set(listed(answer)) == set(before) - {loved, passed}
        assert answer.json()["source"] == "fold_in"
    reasons = {one["movie_id"] for item in answer.json()["items"] for one in item["because"]}
    assert loved in reasons
    assert passed not in reasons
    for one in result:
        removed = endpoint.client.delete(f"/events/{one['event_id']}").json()
        assert removed == {"event_id": one["event_id"], "removed": True}
    assert listed(ask(endpoint, way, user, n=100)) == before


def test_somebody_unknown_becomes_known(endpoint: EndpointProcess, served: PublishedModel) -> None:
    assert ask(endpoint, "GET", "new").json()["fallback_reason"] == "unknown_user"
    send(endpoint, did("new", "nobody's movie", "like", None), did("new", "m3"))
    answer = ask(endpoint, "GET", "new", n=100)
    assert answer.json()["source"] == "fold_in"
    given = endpoint.client.post(
        "/recommend", json={"ratings": [{"movie_id": "m3", "rating": 5.0}], "n": 100}
    )
    assert listed(answer) == listed(given)
    send(endpoint, {**did("new", "m3", "remove", None), "timestamp": NOW + 1})
    assert ask(endpoint, "GET", "new").json()["source"] == "popular"
    assert "m3" in listed(ask(endpoint, "GET", "new", n=100))


def test_the_same_event_twice_is_one(endpoint: EndpointProcess, served: PublishedModel) -> None:
    named = {**did("twice", "m4"), "event_id": "mine/1"}
    first = send(endpoint, did("twice", "m3"), named, did("twice", "m3"))
    assert [one["status"] for one in first] == ["kept", "kept", "known"]
    assert [one["status"] for one in send(endpoint, named, did("twice", "m3"))] == ["known"] * 2
    other = send(endpoint, {**named, "value": 1.0}, {**named, "user_id": "thrice"})
    assert [one.pop("error") for one in other] == [f"event_id: {ANOTHER}"] * 2
    assert other == [{"index": 0}, {"index": 1}]
    kept = endpoint.client.get("/users/twice/events").json()
    assert kept["total"] == 2
    assert {one["event_id"] for one in kept["items"]} == {"mine/1", first[0]["event_id"]}
    assert endpoint.client.delete("/events/nobody's").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        ({"type": "stare"}, "type: 'stare' is none of rating, like"),
        ({"value": 5.1}, "value: expected stars, 0.5 to 5 in halves, for the type rating"),
        ({"type": "play", "value": 1.5}, "value: expected a share, 0 to 1, for the type play"),
        ({"type": "like"}, "value: a value is not expected, for the type like"),
        ({"timestamp": NOW * 1000}, "is in the future; it is in seconds"),
        ({"user_id": ""}, "user_id: String should have at least 1 character"),
        ({"stars": 3}, "stars: Extra inputs are not permitted"),
        ({"movie_id": "\0"}, "movie_id: String should match pattern"),
        ({"recommendation_id": "\0"}, "recommendation_id: String should match pattern"),
    ],
)
def test_a_wrong_event_gets_its_error_beside_its_neighbours(
    endpoint: EndpointProcess, served: PublishedModel, wrong: dict[str, Any], cause: str
) -> None:
    good = {**did("beside", "m3"), "event_id": f"beside {cause}"}
    results = send(endpoint, {**did("beside", "m3"), **wrong}, good)
    assert cause in results[0].pop("error")
    assert results == [
        {"index": 0},
        {"index": 1, "event_id": good["event_id"], "status": "kept"},
    ]
    alone = endpoint.client.post("/events", json={**did("beside", "m3"), **wrong})
    assert alone.status_code == 422


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}, 403),
        ({"Origin": "https://evil.example", "Content-Type": "text/plain"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "X-API-Key": "asked for by the browser"}, 200),
        ({"Content-Type": "text/plain"}, 200),  # no browser
    ],
)
def test_a_page_of_another_site_sends_no_events(
    endpoint: EndpointProcess, headers: dict[str, str], status: int
) -> None:
    content = json.dumps(did("visitor", "m3"))
    assert endpoint.client.post("/events", content=content, headers=headers).status_code == status


def test_what_is_no_list_of_events_is_refused_as_elsewhere(endpoint: EndpointProcess) -> None:
    too_many = {"events": [did("many", "m3")] * 1001}
    for content in (b"{", b"[]", b'{"events": []}', b'{"events": 3}', b'{"events": [], "x": 1}'):
        answer = endpoint.client.post("/events", content=content)
        assert answer.status_code == 422, content
        assert answer.json()["detail"][0]["loc"][0] == "body"
    assert endpoint.client.post("/events", json=too_many).status_code == 422
    alone = endpoint.client.post("/events", json=did("alone", "m3"))
    assert alone.json()["results"][0]["status"] == "kept"


def test_accepted_ratings_are_left_out_whatever_version_is_served(
    endpoint: EndpointProcess, served: PublishedModel
) -> None:
    """The pipeline tells what it accepted; what the version was trained on is no news."""
    warehouse = endpoint.home / "warehouse"
    log = EventLog(warehouse / "events", warehouse / "sources")
    user = "u4"
    best = listed(ask(endpoint, "GET", user))[0]
    (day, version), *_ = served.bundle.manifest.partitions
    log.accept(day, "ratings", version, [(user, best, 4.0)])
    assert best in listed(ask(endpoint, "GET", user))
    log.accept(day, "ratings", "delivered again", [(user, best, 4.0)])
    assert best not in listed(ask(endpoint, "GET", user))
    assert best not in listed(ask(endpoint, "POST", user))
    assert endpoint.reload(3).status_code == 200
    assert best not in listed(ask(endpoint, "GET", user, n=100))
    assert endpoint.reload(2).status_code == 200
    log.accept(day, "ratings", "once more, without it", [])
    assert best in listed(ask(endpoint, "GET", user))
    log.accept("1998-04-23", "ratings", "the next day", [(user, best, 4.0)])
    assert best not in listed(ask(endpoint, "GET", user))
    log.accept("1998-04-23", "ratings", "the next day, without it", [])


def test_a_body_of_events_that_is_too_large_is_refused(endpoint: EndpointProcess) -> None:
    whole = json.dumps({"events": [{**did("large", "m3"), "event_id": "x" * 128}] * 5000}).encode()
    for content in (whole, iter([whole])):  # with its length said, and in chunks
        answer = endpoint.client.post("/events", content=content)
        assert answer.status_code == 413
        assert answer.headers["Connection"] == "close"
    assert endpoint.client.get("/users/large/events").json()["total"] == 0
