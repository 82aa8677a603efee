"""The routes beyond the plain list, over real HTTP: options, many users, new users, movies, the
blocklist.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from filelock import FileLock

from movierec_serving import metrics, slots
from movierec_serving.bundle import PublishedModel
from movierec_serving.model.blocklist import Blocklist
from movierec_serving.settings import ServingSettings
from tests.support import sample_models as models
from tests.support.endpoint_process import TOKEN, EndpointProcess, wait_for

ADMIN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def served(endpoint: EndpointProcess) -> PublishedModel:
    assert endpoint.reload(2).status_code == 200
    return PublishedModel.open(endpoint.store, 2)


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["movie_id"] for item in answer.json()["items"]]


def test_the_options_mean_the_same_in_get_and_post(
    endpoint: EndpointProcess, served: PublishedModel
) -> None:
    everything = ids(endpoint.client.get("/recommend/u1", params={"n": 100}))
    for options in (
        {"offset": 3, "n": 4},
        {"genre": ["Drama"], "n": 100},
        {"genre": ["Drama", "Animé"], "exclude": everything[:5], "n": 5, "offset": 2},
        {"explain": True},
    ):
        got = endpoint.client.get("/recommend/u1", params=options)
        posted = endpoint.client.post("/recommend", json={"user_id": "u1", **options})
        assert got.json()["items"] == posted.json()["items"]
        assert set(ids(got)) <= set(everything) - set(options.get("exclude", ()))
    assert ids(endpoint.client.get("/recommend/u1?offset=3&n=4")) == everything[3:7]
    of_genre = endpoint.client.get("/recommend/u1?genre=Drama&n=100").json()["items"]
    assert [item["movie_id"] for item in of_genre] == [
        id_
        for id_ in everything
        if "Drama" in served.card(served.bundle.item_row(id_) or 0)["genres"]
    ]


@pytest.mark.parametrize("user_id", ["u1", "nobody", "a%2Fb%20c%25", "x" * 65, "%00", "%ff"])
@pytest.mark.parametrize("n", [1, 100, 0, 101])
def test_the_short_way_answers_as_the_long_one(
    endpoint: EndpointProcess, served: PublishedModel, user_id: str, n: int
) -> None:
    short = endpoint.client.get(f"/recommend/{user_id}?n={n}")
    long = endpoint.client.get(f"/recommend/{user_id}?n={n}&offset=0")
    assert short.status_code == long.status_code
    assert {**short.json(), "recommendation_id": ""} == {**long.json(), "recommendation_id": ""}
    unlike = {"date", "x-request-id"}
    assert {k: v for k, v in short.headers.items() if k not in unlike} == {
        k: v for k, v in long.headers.items() if k not in unlike
    }


def test_an_explanation_names_what_the_user_rated(
    endpoint: EndpointProcess, served: PublishedModel
) -> None:
    rated = {
        item["movie_id"] for item in endpoint.client.get("/users/u1/history?n=100").json()["items"]
    }
    for item in endpoint.client.get("/recommend/u1?explain=true").json()["items"]:
        shares = [reason["share"] for reason in item["because"]]
        assert shares == sorted(shares, reverse=True)
        assert {reason["movie_id"] for reason in item["because"]} <= rated
    assert all(
        "because" not in item for item in endpoint.client.get("/recommend/u1").json()["items"]
    )


def test_a_wrong_user_of_a_batch_spoils_no_other(
    endpoint: EndpointProcess, served: PublishedModel
) -> None:
    users = ["u1", "", "nobody", 7, "u2", None, "x" * 65, "u1"]
    results = endpoint.client.post("/recommend", json={"users": users, "n": 3}).json()["results"]
    assert [result.get("index") for result in results] == [None, 1, None, 3, None, 5, 6, None]
    for user_id in ("u1", "nobody", "u2"):
        alone = endpoint.client.get(f"/recommend/{user_id}?n=3").json()
        assert results[users.index(user_id)]["items"] == alone["items"]
    assert results[2]["fallback_reason"] == "unknown_user"
    assert results[0]["recommendation_id"] != results[7]["recommendation_id"]
    many = endpoint.client.post(
        "/recommend", json={"users": ["u1", "ünïcode"] * 500, "genre": ["Drama"]}
    )
    assert len(many.json()["results"]) == 1000


def test_a_new_user_is_folded_in(endpoint: EndpointProcess, served: PublishedModel) -> None:
    ratings = [{"movie_id": "m3", "rating": 5.0}, {"movie_id": "no such", "rating": 1}]
    answer = endpoint.client.post(
        "/recommend", json={"ratings": ratings, "n": 100, "explain": True}
    )
    assert answer.json()["source"] == "fold_in"
    assert len(ids(answer)) == 38  # of 40, without the rated one and one not in the catalogue
    assert "m3" not in ids(answer)
    assert {
        reason["movie_id"] for item in answer.json()["items"] for reason in item["because"]
    } == {"m3"}
    nothing = endpoint.client.post("/recommend", json={"ratings": ratings[1:]}).json()
    assert (nothing["source"], nothing["fallback_reason"]) == ("popular", "no_known_movie")


def test_movies_are_found_and_unknown_ones_are_not(
    endpoint: EndpointProcess, served: PublishedModel
) -> None:
    found = endpoint.client.get("/movies", params={"query": "TITRE “5”"}).json()["items"]
    assert [movie["title"] for movie in found] == ["Titre “5”, The"]
    one = endpoint.client.get(f"/movies/{found[0]['movie_id']}").json()
    assert one == {"model_version": 2, "data_until": "1998-04-02", **found[0]}
    assert endpoint.client.get("/movies?query=no such title").json()["items"] == []
    assert len(ids(endpoint.client.get("/similar/映画?n=5"))) == 5
    for path in ("/movies/none", "/similar/none", "/users/nobody/history"):
        assert endpoint.client.get(path).status_code == 404
    best = [
        item["rating"] for item in endpoint.client.get("/users/a%2Fb c%25/history").json()["items"]
    ]
    assert best == sorted(best, reverse=True)


def test_headers_name_request_and_version(
    endpoint: EndpointProcess, served: PublishedModel
) -> None:
    answer = endpoint.client.get("/recommend/u1", headers={"X-Request-Id": "a-b_c.1"})
    assert answer.headers["X-Request-Id"] == "a-b_c.1"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["X-Model-Version"] == "2"
    for bad in ("", "a b", "x" * 129):
        given = endpoint.client.get("/nope", headers={"X-Request-Id": bad}).headers["X-Request-Id"]
        assert re.fullmatch("[0-9a-f]{32}", given)


def test_every_request_is_counted_whichever_process_answers(endpoint: EndpointProcess) -> None:
    name = 'movierec_requests_total{method="GET",route="/movies",status="200"}'

    def counted() -> int:
        lines = dict(
            line.rsplit(" ", 1) for line in endpoint.client.get("/metrics").text.splitlines()
        )
        return int(float(lines.get(name, 0)))

    before, pids = counted(), set()
    for _ in range(40):
        with endpoint.another_client() as client:  # a connection, so any process
            client.get("/movies?n=1")
            pids.add(client.get("/model").json()["pid"])
    assert counted() == before + 40
    assert len(pids) == 2


@pytest.fixture
def blocking(store: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EndpointProcess]:
    """An endpoint of its own, versions 3 and 4."""
    process = EndpointProcess(store.parents[1])
    models.publish_version(process.store, 4)
    process.start()
    process.reload(3)
    yield process
    process.close()


def test_a_movie_taken_off_stays_off(blocking: EndpointProcess) -> None:
    """In every process, for every later request, over a reload and a restart; and comes back when
    let.
    """
    client = blocking.client
    popular, own = ids(client.get("/popular?n=1"))[0], ids(client.get("/recommend/u1?n=1"))[0]
    for movie in {popular, own}:
        assert client.put(f"/blocklist/{movie}", headers={}).status_code == 401
        assert client.put(f"/blocklist/{movie}", headers=ADMIN).json()["changed"]
        assert not client.put(f"/blocklist/{movie}", headers=ADMIN).json()["changed"]

    def nowhere(process: EndpointProcess) -> None:
        for _ in range(6):
            with process.another_client() as other:
                lists = [
                    other.get("/recommend/u1?n=100"),
                    other.get("/recommend/nobody?n=100"),
                    other.get("/popular?n=100"),
                    other.get("/similar/映画?n=100"),
                    other.post("/recommend", json={"user_id": "u1", "n": 100}),
                    other.post(
                        "/recommend",
                        json={"ratings": [{"movie_id": "映画", "rating": 5}], "n": 100},
                    ),
                ]
            assert not {popular, own} & {id_ for answer in lists for id_ in ids(answer)}

    nowhere(blocking)
    other = EndpointProcess(blocking.home).start()  # of the same store, on another port
    try:
        other.reload(3)
        nowhere(other)
    finally:
        other.stop()
    blocking.reload(4)
    nowhere(blocking)
    blocking.stop()
    again = EndpointProcess(blocking.home, port=blocking.port).start()
    try:
        nowhere(again)
        assert again.client.get(f"/movies/{own}").json()["blocked"]
        assert again.client.delete(f"/blocklist/{own}", headers=ADMIN).json()["changed"]
        wait_for(lambda: own in ids(again.client.get("/recommend/u1?n=100")), "it is listed again")
        (again.store / ".blocked").write_text("[")
        assert again.client.put("/blocklist/x", headers=ADMIN).status_code == 503
    finally:
        again.stop()


def test_a_movie_is_taken_off_while_a_reload_checks_a_large_bundle(tmp_path: Path) -> None:
    settings = ServingSettings(home=tmp_path)
    settings.store.mkdir(parents=True)
    blocklist = Blocklist(settings.store)
    with FileLock(settings.pointer.with_name(f"{settings.pointer.name}.lock")):
        assert blocklist.set("m1", blocked=True)
    assert blocklist.ids() == {"m1"}


def test_a_takedown_outlives_the_store(tmp_path: Path) -> None:
    store = tmp_path / "models"
    store.mkdir()
    Blocklist(store).set("m1", blocked=True)
    shutil.rmtree(store)
    store.mkdir()
    again = Blocklist(store)
    assert again.ids() == {"m1"}
    assert not again.set("m1", blocked=True)
    assert (store / ".blocked").read_text() == '["m1"]'
    assert again.set("m1", blocked=False)
    assert Blocklist(store).ids() == frozenset()


def test_many_new_users_get_what_each_gets_alone(
    endpoint: EndpointProcess, served: PublishedModel
) -> None:
    """More ratings than factors and fewer, an unknown movie, the same movie twice."""
    movies = [served.bundle.item_id(row) for row in range(40)]
    rated = [movies[:2], movies[3:33], ["no such"], [movies[7], "no such", movies[7]]]
    asked = [{"ratings": [{"movie_id": id_, "rating": 4.5} for id_ in each]} for each in rated]
    users = [
        *asked,
        "u1",
        {"ratings": []},
        {"ratings": [{"movie_id": "m1", "rating": 9}]},
        {"user_id": "u1"},
    ]
    results = endpoint.client.post("/recommend", json={"users": users, "n": 5}).json()["results"]
    for one, result in zip(asked, results[:4], strict=True):
        alone = endpoint.client.post("/recommend", json={**one, "n": 5}).json()
        assert {**alone, "recommendation_id": ""} == {
            **result,
            "recommendation_id": "",
            "model_version": 2,
            "data_until": "1998-04-02",
        }
    assert [result.get("source") for result in results[:5]] == [
        "fold_in",
        "fold_in",
        "popular",
        "fold_in",
        "als",
    ]
    assert results[2]["fallback_reason"] == "no_known_movie"
    assert [result["index"] for result in results[5:]] == [5, 6, 7]
    assert results[6]["error"] == "ratings.0.rating: Input should be less than or equal to 5"


def test_what_is_counted_has_conventional_names(endpoint: EndpointProcess) -> None:
    endpoint.reload(2)
    endpoint.reload(77)
    endpoint.client.get("/recommend/nobody")
    endpoint.client.post("/recommend", json={"user_id": "nobody"})
    endpoint.client.post("/recommend", json={"users": ["u1", "u2", "nobody"]})
    endpoint.client.request("BREW", "/popular")
    text = endpoint.client.get("/metrics").text
    families = {
        line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")
    }
    families["movierec_dropped_connections_total"] = "counter"  # there once one was dropped
    assert families == {
        "movierec_dropped_connections_total": "counter",
        "movierec_requests_total": "counter",
        "movierec_request_duration_seconds": "histogram",
        "movierec_reloads_total": "counter",
        "movierec_fallbacks_total": "counter",
        "movierec_lists_total": "counter",
        "movierec_overload_rejections_total": "counter",
        "movierec_lost_lists_total": "counter",
        "movierec_open_model_version": "gauge",
        "movierec_model_version": "gauge",
        "movierec_model_data_until_timestamp_seconds": "gauge",
        "movierec_batch_users": "histogram",
        "movierec_waiting_requests": "gauge",
    }
    assert "movierec_model_version 2.0" in text
    assert "movierec_model_data_until_timestamp_seconds 8.914752e+08" in text  # 1998-04-02
    assert re.search(r'movierec_batch_users_bucket\{le="2.0"\} \d+\.0', text)
    assert re.search(r'movierec_waiting_requests\{pid="\d+",process="api-\d"\} 0.0', text)
    for labels in (
        'reloads_total{result="missing"}',
        'fallbacks_total{reason="unknown_user"}',
        'fallbacks_total{reason="no_times"}',
    ):
        assert f"movierec_{labels}" in text
    assert "BREW" not in text


def test_each_list_is_counted_and_each_fallback_with_its_reason(endpoint: EndpointProcess) -> None:
    endpoint.reload(2)

    def counts() -> tuple[float, float, float]:
        text = endpoint.client.get("/metrics").text
        names = (
            "lists_total",
            'fallbacks_total{reason="unknown_user"}',
            'fallbacks_total{reason="nothing_left"}',
        )
        return tuple(float(text.split(f"\nmovierec_{name} ")[1].split()[0]) for name in names)

    before = counts()
    endpoint.client.post("/recommend", json={"users": ["u1", "u2", "nobody"]})
    endpoint.client.get("/recommend/u1", params={"year_to": 1})
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [4, 1, 1]


def test_where_keys_are_set_public_routes_ask_for_one(store: Path) -> None:
    endpoint = EndpointProcess(store.parents[1], MOVIEREC_API_KEYS="first-key, sécond,").start()
    try:
        endpoint.reload(3)
        get = endpoint.client.get
        paths = [
            "/recommend/u1",
            "/recommend/u1?n=3&offset=1",
            "/popular",
            "/movies",
            "/similar/m1",
            "/nope",
        ]
        for path in paths:
            for wrong in (
                {},
                {"X-API-Key": "first"},
                {"X-API-Key": ""},
                {"Authorization": "Bearer first-key"},
            ):
                assert get(path, headers=wrong).status_code == 401
        assert endpoint.client.post("/recommend", json={"user_id": "u1"}).status_code == 401
        for key in (b"first-key", "sécond".encode()):
            assert get("/recommend/u1", headers={"X-API-Key": key}).status_code == 200
            posted = endpoint.client.post(
                "/recommend", json={"user_id": "u1"}, headers={"X-API-Key": key}
            )
            assert posted.status_code == 200
        assert (
            get("/recommend/u1", headers=ADMIN).status_code == 200
        )  # whoever may change it may ask it
        for path in ("/health", "/health/live", "/metrics", "/model", "/openapi.json", "/docs"):
            assert get(path).status_code == 200
        assert get("/model").json()["last_reload"]["result"] == "changed"
    finally:
        endpoint.stop()
    assert "first-key" not in endpoint.log.read_text()


def test_a_process_that_is_just_starting_breaks_no_look_at_the_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Slots that nobody has claimed yet are whole files of zeros, and so is one just claimed."""
    with slots.allocated(1) as directory:
        monkeypatch.setenv(slots.DIRECTORY, str(directory))
        assert metrics.processes() == []
        assert slots.claim(directory) == 0
        assert metrics.processes() == []
        assert b"movierec_model_version 3.0" in metrics.exposition(3, None)
