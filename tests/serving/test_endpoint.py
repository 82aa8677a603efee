"""The HTTP API, asked for over real HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from movierec_serving.bundle import PublishedModel
from movierec_serving.bundle.selection import Slice, for_users
from tests.support import sample_models as models
from tests.support.endpoint_process import TOKEN, EndpointProcess, descendants

WAYS = ["GET", "POST"]


@pytest.fixture
def served(endpoint: EndpointProcess) -> PublishedModel:
    """Version 2, live and as it lies in the store."""
    assert endpoint.reload(2).status_code == 200
    return PublishedModel.open(endpoint.store, 2)


def ask(endpoint: EndpointProcess, way: str, user_id: str, **options: Any) -> httpx.Response:
    if way == "GET":
        return endpoint.client.get(f"/recommend/{quote(user_id, safe='')}", params=options)
    return endpoint.client.post("/recommend", json={"user_id": user_id, **options})


@pytest.mark.parametrize("way", WAYS)
def test_every_known_user_gets_their_own_list(
    endpoint: EndpointProcess, served: PublishedModel, way: str
) -> None:
    for user_id in models.content().user_ids:
        answer = ask(endpoint, way, user_id, n=7)
        assert answer.status_code == 200
        assert answer.headers["X-Model-Version"] == "2"
        body = answer.json()
        assert body.pop("recommendation_id").startswith("2-")
        assert ("next_page" in body) == (way == "GET" and len(body["items"]) == 7)
        body.pop("next_page", None)
        assert {**body, "items": None} == {
            "user_id": user_id,
            "model_version": 2,
            "data_until": "1998-04-02",
            "source": "als",
            "items": None,
        }
        assert body["items"] == [
            {
                "movie_id": served.bundle.item_id(item),
                "title": served.catalogue.title(item),
                "genres": served.catalogue.genres(item),
                "score": round(score, 6),
                "source": "als",
            }
            for item, score in for_users(served, [served.bundle.user_row(user_id) or 0], Slice(7))[
                0
            ]
        ]


@pytest.mark.parametrize("way", WAYS)
def test_what_a_user_has_seen_never_comes_back(
    endpoint: EndpointProcess, served: PublishedModel, way: str
) -> None:
    for row in range(12):
        items = ask(endpoint, way, served.bundle.user_id(row), n=100).json()["items"]
        seen = {served.bundle.item_id(item) for item in served.bundle.seen(row)}
        absent = served.bundle.item_id(1)  # not in the catalogue
        assert len(items) == 40 - len(seen | {absent})
        assert not seen & {item["movie_id"] for item in items}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "user_id",
    ["nobody", "😀" * 64, "../../etc/passwd", "u1 ", "u1\n", "%2e", "a\nb", "\u2028", "'"],
)
def test_an_unknown_user_gets_popular_movies(
    endpoint: EndpointProcess, served: PublishedModel, way: str, user_id: str
) -> None:
    answer = ask(endpoint, way, user_id, n=3)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["user_id"], body["source"], body["fallback_reason"]) == (
        user_id,
        "popular",
        "unknown_user",
    )
    assert (body["model_version"], body["data_until"]) == (2, "1998-04-02")
    bundle = served.bundle
    assert [(item["movie_id"], item["score"], item["source"]) for item in body["items"]] == [
        (bundle.item_id(row), round(float(bundle.popular_scores[row]), 6), "popular")
        for row in bundle.popular_items[:3]
    ]


@pytest.mark.parametrize("way", WAYS)
def test_ten_movies_unless_told_otherwise(
    endpoint: EndpointProcess, served: PublishedModel, way: str
) -> None:
    assert len(ask(endpoint, way, "u1").json()["items"]) == 10


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("user_id", "options", "field"),
    [
        ("u1", {"n": 0}, "n"),
        ("u1", {"n": 101}, "n"),
        ("u1", {"n": -(10**30)}, "n"),
        ("u1", {"n": "ten"}, "n"),
        ("u1", {"n": 1.5}, "n"),
        ("x" * 65, {}, "user_id"),
        ("x" * 20000, {}, "user_id"),
        ("u1\0", {}, "user_id"),
        ("", {}, "user_id"),
        ("u1", {"limit": 3}, "limit"),
    ],
)
def test_wrong_input_is_named(
    endpoint: EndpointProcess, way: str, user_id: str, options: dict[str, Any], field: str
) -> None:
    answer = ask(endpoint, way, user_id, **options)
    assert answer.status_code == 422
    assert [problem["loc"][-1] for problem in answer.json()["detail"]] == [field]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"null", 422),
        (b'{"n": 5}', 422),
        (b'{"user_id": "u1", "users": ["u2"]}', 422),
        (b'{"users": []}', 422),
        (b'{"users": [' + b"1," * 1000 + b"1]}", 422),
        (b'{"users": ["u1"], "explain": true}', 422),
        (b'{"users": [' + b'"u1",' * 999 + b'"u1"], "n": 10, "offset": 100}', 422),
        (b'{"user_id": "u1", "offset": 1001}', 422),
        (b'{"user_id": "u1", "genre": "Drama"}', 422),
        (b'{"user_id": "u1", "genre": ["No such"]}', 422),
        (b'{"ratings": [{"movie_id": "m1", "rating": 6}]}', 422),
        (b'{"ratings": [{"movie_id": "m1", "rating": NaN}]}', 422),
        (b'{"user_id": 7}', 422),
        (b'{"user_id": "u1", "n": NaN}', 422),
        (b'{"user_id": "u1", "n": 1e400}', 422),
        (b'{"user_id": "u1", "n": true}', 422),
        (b'{"user_id": "u1", "more": 1}', 422),
        (b'{"user_id": "\\ud800"}', 422),
        (b'{"user_id": "u1", "\\ud800": 1}', 422),
        (b'{"user_id": "\xff"}', {422, 400}),
        (b'{"n": ' + b"9" * 5000 + b"}", {422, 400}),
        (b"[" * 100_000, {422, 400}),
        (b'"' + b"x" * (1 << 20) + b'"', 413),
    ],
)
def test_a_broken_body_is_the_callers_error(
    endpoint: EndpointProcess, body: bytes, status: int | set[int]
) -> None:
    for path in ("/recommend", "/reload"):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        answer = endpoint.client.post(path, content=body, headers=headers)
        assert answer.status_code in (status if isinstance(status, set) else {status})
        assert answer.json()["detail"]


def test_bytes_that_are_no_text_are_an_unknown_user(
    endpoint: EndpointProcess, served: PublishedModel
) -> None:
    assert endpoint.client.get("/recommend/%ff%fe").json()["source"] == "popular"


@pytest.mark.parametrize("path", ["/nope", "/info", "/predict", "/shutdown", "/recommendations/u1"])
def test_an_unknown_path_is_not_found(endpoint: EndpointProcess, path: str) -> None:
    assert endpoint.client.get(path).status_code == 404


def test_model_and_health_name_the_version(
    endpoint: EndpointProcess, served: PublishedModel
) -> None:
    info = endpoint.client.get("/model").json()
    pid, processes, last = (info.pop(name) for name in ("pid", "processes", "last_reload"))
    assert info == {
        "version": 2,
        "data_until": "1998-04-02",
        "identity": "model-2",
        "format_version": 2,
        "experiment": None,
    }
    assert [one["process"] for one in processes] == ["api-0", "api-1", "worker"]
    assert {one["pid"] for one in processes} <= descendants(endpoint.process.pid)
    assert {"process": "api-0", "pid": pid, "version": 2} in processes or {
        "process": "api-1",
        "pid": pid,
        "version": 2,
    } in processes
    assert (last["version"], last["cause"]) == (2, None)
    assert last["result"] in ("changed", "unchanged")
    assert endpoint.client.get("/health").json() == {"status": "ok", "version": 2}


def test_every_route_is_documented_with_its_errors(endpoint: EndpointProcess) -> None:
    document = endpoint.client.get("/openapi.json").json()
    routes = {
        (path, method): route
        for path, ways in document["paths"].items()
        for method, route in ways.items()
    }
    assert {key: sorted(route["responses"]) for key, route in routes.items()} == {
        ("/recommend", "post"): ["200", "400", "401", "413", "421", "422", "503", "504"],
        ("/recommend/{user_id}", "get"): ["200", "400", "401", "410", "421", "422", "503"],
        ("/similar/{movie_id}", "get"): ["200", "400", "401", "404", "410", "421", "422", "503"],
        ("/popular", "get"): ["200", "400", "401", "410", "421", "422", "503"],
        ("/latest", "get"): ["200", "400", "401", "410", "421", "422", "503"],
        ("/users/{user_id}/history", "get"): ["200", "400", "401", "404", "421", "422", "503"],
        ("/users/{user_id}/events", "get"): ["200", "400", "401", "422", "503"],
        ("/events", "post"): ["200", "400", "401", "403", "413", "422", "503"],
        ("/events/{event_id}", "delete"): ["200", "400", "401", "404", "422", "503"],
        ("/movies", "get"): ["200", "400", "401", "410", "422", "503"],
        ("/movies/{movie_id}", "get"): ["200", "400", "401", "404", "422", "503"],
        ("/model", "get"): ["200", "503"],
        ("/health", "get"): ["200", "503"],
        ("/health/live", "get"): ["200"],
        ("/health/ready", "get"): ["200", "503"],
        ("/metrics", "get"): ["200"],
        ("/reload", "post"): ["200", "400", "401", "403", "404", "409", "413", "422", "503"],
        ("/experiment", "put"): ["200", "400", "401", "403", "404", "409", "413", "422", "503"],
        ("/experiment", "delete"): ["200", "400", "401", "403", "422", "503"],
        ("/blocklist/{movie_id}", "put"): ["200", "400", "401", "403", "422", "503"],
        ("/blocklist/{movie_id}", "delete"): ["200", "400", "401", "403", "422", "503"],
    }
    assert document["components"]["schemas"]["RecommendRequest"]["examples"]
    assert endpoint.client.get("/docs").status_code == 200


@pytest.mark.parametrize("token", [None, "wrong", TOKEN[:-1], TOKEN + "x", "ü"])
def test_a_reload_without_the_token_is_refused(
    endpoint: EndpointProcess, token: str | None
) -> None:
    headers = {} if token is None else {"Authorization": b"Bearer " + token.encode()}
    before = endpoint.client.get("/model").json()["version"]
    answer = endpoint.client.post("/reload", json={"version": 3}, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert endpoint.client.get("/model").json()["version"] == before


def test_another_scheme_than_bearer_is_refused(endpoint: EndpointProcess) -> None:
    answer = endpoint.client.post(
        "/reload", json={"version": 3}, headers={"Authorization": f"Basic {TOKEN}"}
    )
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "version", [0, -1, "3", 3.0, True, None, 2**63, "../3", "http://127.0.0.1/", [3]]
)
def test_only_version_numbers_are_reloaded(endpoint: EndpointProcess, version: Any) -> None:
    answer = endpoint.reload(version)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "version"]


def test_reloads_go_forward_backward_and_nowhere(
    endpoint: EndpointProcess, served: PublishedModel
) -> None:
    assert endpoint.reload(3).json() == {"version": 3, "previous": 2, "changed": True}
    assert endpoint.reload(3).json() == {"version": 3, "previous": 3, "changed": False}
    assert endpoint.reload(1).json() == {"version": 1, "previous": 3, "changed": True}
    for way in WAYS:
        assert ask(endpoint, way, "u1").json()["model_version"] == 1


def _other_format(path: Path) -> None:
    document = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").unlink()  # shared with the bundle
    (path / "manifest.json").write_text(json.dumps({**document, "format_version": 3}))


def _altered(path: Path) -> None:
    raw = bytearray((path / "item_factors.npy").read_bytes())
    raw[-1] ^= 1
    (path / "item_factors.npy").unlink()
    (path / "item_factors.npy").write_bytes(raw)


REFUSED = {
    "missing": (77, 404, "version 77 is not in the store", lambda p: None),
    "not a version": (8, 409, "manifest.json", lambda p: p.mkdir()),
    "altered": (9, 409, "item_factors.npy: altered", _altered),
    "other format": (10, 409, "format version 3, this program reads 1 and 2", _other_format),
    "incomplete": (11, 409, "top_items.npy: missing", lambda p: (p / "top_items.npy").unlink()),
}


@pytest.mark.parametrize(("version", "status", "cause", "corrupt"), REFUSED.values(), ids=REFUSED)
def test_a_refused_version_leaves_the_old_one_serving(
    endpoint: EndpointProcess,
    served: PublishedModel,
    version: int,
    status: int,
    cause: str,
    corrupt: Any,
) -> None:
    if version in (9, 10, 11):
        models.publish_version(endpoint.store, version)
    corrupt(endpoint.store / str(version))
    answer = endpoint.reload(version)
    assert answer.status_code == status
    assert cause in answer.json()["detail"]
    for way in WAYS:
        assert ask(endpoint, way, "u1").json()["model_version"] == 2


def test_two_reloads_at_once_are_one_after_the_other(
    endpoint: EndpointProcess, served: PublishedModel
) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = (a.json() for a in pool.map(endpoint.reload, (1, 3)))
    assert (first["changed"], second["changed"]) == (True, True)
    assert (first["previous"], second["previous"]) in [(2, 1), (3, 2)]
    last = second if second["previous"] == 1 else first
    assert endpoint.client.get("/model").json()["version"] == last["version"]
