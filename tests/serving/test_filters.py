"""What lists leave out: by the catalogue, the day, the user; and pages that stay in a version."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from movierec_serving.bundle import Movie, OptionError, PublishedModel, publish
from movierec_serving.bundle.documents import seal, unseal
from movierec_serving.bundle.filters import NO_WISH, Wish, left_out
from movierec_serving.bundle.recency import day_number
from movierec_serving.bundle.selection import Slice, for_users, most_popular
from movierec_serving.http.pages.rendering import texts, url
from tests.support import sample_models as models
from tests.support.endpoint_process import TOKEN, EndpointProcess

DAY = day_number("2026-03-10")
NOBODY = np.empty(0, np.int64)
DAYS = {  # first and last day of some movies
    "m10": ("2026-03-10", "2026-03-10"),
    "m11": ("2026-03-11", None),
    "m12": (None, "2026-03-09"),
    "m13": ("1990-01-01", "2999-01-01"),
    "m14": (None, "2001-01-01"),
    "m15": ("2999-01-01", None),
}
TITLES = {"m20": "Lantern, The (1999)", "m21": "Amélie", "m22": "Green Lantern, The"}


def catalogue() -> dict[str, Movie]:
    """All sample movies but m5 and m1, and two that nobody has rated."""
    movies = {}
    for row, id_ in enumerate([*models.content().item_ids, "new1", "new2"]):
        number = 50 + row
        genres = ("Drama",) if row % 2 else ("Comedy", "Horror") if row % 3 else ()
        country = {0: "FR", 1: "FR|BE", 2: ""}[row % 3]
        first, last = DAYS.get(id_, (None, None))
        columns = {"country": country, "note": "x" * 80}
        title = TITLES.get(id_, f"Film {number}")
        year = 1950 + row if row % 5 else None
        movies[id_] = Movie(id_, title, genres, year, first, last, columns)
    del movies["m5"], movies["m1"]
    return movies


def publish_version(store: Path, version: int, seed: int, **changed: Any) -> None:
    """Somebody rated each movie on a day of its own, m0 the last."""
    content = models.content(seed=seed, **changed)
    rated_at = (20_000 - np.asarray(content.seen_items)) * 86_400
    timed = models.content(seed=seed, rated_at=rated_at, until="2024-10-04", **changed)
    models.write(store.parent / f"bundle-{version}", timed, identity=f"model-{version}")
    publish(store.parent / f"bundle-{version}", store, version, catalogue())


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EndpointProcess]:
    process = EndpointProcess(tmp_path_factory.mktemp("filters"))
    for version in (1, 2):
        publish_version(process.store, version, seed=version)
    models.publish_version(process.store, 3)  # its ratings have no times
    try:
        process.start()
        assert process.reload(1).status_code == 200
        yield process
    finally:
        process.close()


@pytest.fixture(scope="module")
def model(endpoint: EndpointProcess) -> PublishedModel:
    return PublishedModel.open(endpoint.store, 1, verify=True)


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["movie_id"] for item in answer.json()["items"]]


def everything(endpoint: EndpointProcess, path: str, **options: Any) -> list[str]:
    """All pages of a list, by their tokens."""
    found: list[str] = []
    answer = endpoint.client.get(path, params=options)
    while True:
        found += ids(answer)
        token = answer.json().get("next_page")
        if token is None:
            return found
        answer = endpoint.client.get(path, params={**options, "page": token})


@pytest.mark.parametrize(
    ("wish", "fits"),
    [
        ({"genre": ("Drama", "Horror")}, lambda m: {"Drama", "Horror"} & {*m.genres}),
        ({"genre_all": ("Comedy", "Horror")}, lambda m: {"Comedy", "Horror"} <= {*m.genres}),
        ({"genre_none": ("Drama",)}, lambda m: "Drama" not in m.genres),
        ({"year_from": 1960, "year_to": 1971}, lambda m: m.year and 1960 <= m.year <= 1971),
        ({"year_to": 1960}, lambda m: m.year and m.year <= 1960),
        ({"where": ("country:BE",)}, lambda m: "BE" in m.columns["country"]),
        ({"where": ("country:BE", "country:FR")}, lambda m: m.columns["country"]),
        ({"exclude": ("m2", "none", "new1")}, lambda m: m.movie_id not in ("m2", "new1")),
    ],
)
def test_a_wish_leaves_out_what_does_not_fit(
    model: PublishedModel, wish: dict[str, Any], fits: Any
) -> None:
    known = model.catalogue
    out = left_out(known, Wish(**wish), NOBODY, DAY)
    assert out is not None
    shown = {known.movie_id(row) for row in np.flatnonzero(~out)}
    closed = {"m11", "m12", "m14", "m15"}
    assert shown == {m.movie_id for m in catalogue().values() if fits(m)} - closed


def test_a_plain_request_asks_nothing_of_each_movie(tmp_path: Path) -> None:
    models.publish_version(tmp_path / "models", 1)
    known = PublishedModel.open(tmp_path / "models", 1).catalogue
    assert known.withdrawn is not None
    assert left_out(known, NO_WISH, NOBODY, DAY) is None


def test_a_movie_is_available_from_its_first_day_to_its_last(model: PublishedModel) -> None:
    known = model.catalogue

    def shown(day: str) -> set[str]:
        out = left_out(known, NO_WISH, NOBODY, day_number(day))
        assert out is not None
        return {movie for movie in DAYS if not out[known.row(movie)]}

    assert shown("2026-03-09") == {"m12", "m13"}
    assert shown("2026-03-10") == {"m10", "m13"}
    assert shown("2026-03-11") == {"m11", "m13"}


@pytest.mark.parametrize(
    ("wish", "cause"),
    [
        ({"genre_none": ("Drma",)}, "no genre 'Drma'; there are Comedy, Drama, Horror"),
        ({"where": ("land:FR",)}, "no column 'land'; there are country, note"),
        ({"where": ("country:DE",)}, "no movie has 'DE' in country; there are BE, FR$"),
        ({"where": ("country",)}, "'country' names no value: expected such as 'country:BE'"),
        ({"where": ("country:",)}, "no movie has '' in country"),
        ({"where": ("note:" + "x" * 80,)}, "in note"),
    ],
)
def test_what_the_catalogue_does_not_have_is_named(
    model: PublishedModel, wish: dict[str, Any], cause: str
) -> None:
    with pytest.raises(OptionError, match=cause):
        left_out(model.catalogue, Wish(**wish), NOBODY, DAY)


def test_wrong_options_are_errors_of_the_caller(endpoint: EndpointProcess) -> None:
    for path in ("/recommend/u1", "/popular", "/latest", "/similar/m2", "/movies"):
        for options, field in (
            ({"where": "land:FR"}, "where"),
            ({"genre_all": "Drma"}, "genre_all"),
            ({"year_from": "soon"}, "year_from"),
            ({"land": "FR"}, "land"),
            ({"page": "1-10-00000000"}, "page"),
            ({"page": "next"}, "page"),
        ):
            answer = endpoint.client.get(path, params=options)
            assert answer.status_code == 422
            assert answer.json()["detail"][0]["loc"] == ["query", field]
    posted = endpoint.client.post("/recommend", json={"user_id": "u1", "where": ["land:FR"]})
    assert posted.json()["detail"][0]["loc"] == ["body", "where"]


def test_what_left_the_catalogue_leaves_every_list_and_explains_nothing(
    endpoint: EndpointProcess, model: PublishedModel
) -> None:
    get = endpoint.client.get
    user = next(
        model.bundle.user_id(row)
        for row in range(12)
        if {model.bundle.item_row("m5")} & set(model.bundle.seen(row).tolist())
    )
    rated = {"ratings": [{"movie_id": "m5", "rating": 5}, {"movie_id": "m2", "rating": 5}]}
    lists = [
        get("/recommend/u0?n=100"),
        get(f"/recommend/{user}?n=100&explain=true"),
        get("/recommend/nobody?n=100"),
        get("/popular?n=100"),
        get("/popular?n=100&window=30d"),
        get("/latest?n=100&by=year"),
        get("/similar/m2?n=100"),
        endpoint.client.post("/recommend", json={**rated, "n": 100, "explain": True}),
    ]
    for answer in lists:
        assert ids(answer)
        assert not {"m5", "m1", "m14", "m15"} & set(ids(answer))
        reasons = [one for item in answer.json()["items"] for one in item.get("because", [])]
        assert "m5" not in {one["movie_id"] for one in reasons}
    gone = get("/movies/m5").json()
    assert (gone["title"], gone["listed"], gone["blocked"]) == (None, False, False)
    assert [get(f"/movies/{id_}").json()["listed"] for id_ in ("m14", "m13")] == [False, True]


def test_everything_filtered_away_is_said(endpoint: EndpointProcess) -> None:
    answer = endpoint.client.get("/recommend/u1?year_to=1900").json()
    assert (answer["items"], answer["fallback_reason"]) == ([], "nothing_left")


def test_a_user_is_not_shown_what_they_have_seen(
    endpoint: EndpointProcess, model: PublishedModel
) -> None:
    seen = {model.bundle.item_id(row) for row in model.bundle.seen(2)}
    user = model.bundle.user_id(2)
    for path in ("/popular", "/latest?by=year", "/latest", "/similar/m2", "/popular?window=30d"):
        whole = ids(endpoint.client.get(path, params={"n": 100}))
        answer = endpoint.client.get(path, params={"n": 100, "user_id": user})
        assert ids(answer) == [id_ for id_ in whole if id_ not in seen]
        assert seen & set(whole)
        assert answer.json()["user_id"] == user
        assert ids(endpoint.client.get(path, params={"n": 100, "user_id": "nobody"})) == whole


def test_a_window_counts_the_likes_of_the_datas_last_days(
    endpoint: EndpointProcess, model: PublishedModel
) -> None:
    likes = model.bundle.likes
    assert likes is not None
    for window, days in (("7d", 7), ("30d", 30)):
        answer = endpoint.client.get("/popular", params={"window": window, "n": 100})
        # The movie of the first row was rated on the last day, that of the second the day before.
        recent = [model.bundle.item_id(row) for row in range(days) if likes[row] > 0]
        expected = (set(recent) & catalogue().keys()) - DAYS.keys()
        assert set(ids(answer)) - DAYS.keys() == expected
        scores = [item["score"] for item in answer.json()["items"]]
        assert scores == sorted(scores, reverse=True)
        assert answer.json()["source"] == "trending"


def test_the_latest_movies_are_those_that_came_last(endpoint: EndpointProcess) -> None:
    arrived = ids(endpoint.client.get("/latest", params={"n": 100, "exclude": [*DAYS]}))
    rows = [PublishedModel.open(endpoint.store, 1).bundle.item_row(id_) for id_ in arrived]
    assert rows == sorted(rows)  # the first row was rated last
    years = endpoint.client.get("/latest?by=year&n=100").json()["items"]
    assert years[0]["movie_id"] == "new2"
    assert years[0]["score"] == 1950 + 41
    assert [one["score"] for one in years] == sorted((one["score"] for one in years), reverse=True)


def test_movies_that_nobody_has_rated_are_listed_by_what_the_catalogue_says(
    endpoint: EndpointProcess,
) -> None:
    def get(path: str) -> dict[str, Any]:
        return endpoint.client.get(path).raise_for_status().json()

    mine = get("/latest?by=taste&user_id=u1")
    assert {item["movie_id"] for item in mine["items"]} == {"new1", "new2"}
    scores = [item["score"] for item in mine["items"]]
    assert scores == sorted(scores, reverse=True)
    assert mine["source"] == "content"
    anybody = get("/latest?by=taste&user_id=nobody")
    assert anybody["fallback_reason"] == "unknown_user"
    like = get("/similar/new1")
    assert like["source"] == "content"
    assert len(like["items"]) == 10
    for item in (*mine["items"], *anybody["items"]):
        assert set(item["because_of_genres"]) <= set(item["genres"])
    of_new1 = set(catalogue()["new1"].genres)
    assert all(set(item["because_of_genres"]) <= of_new1 for item in like["items"])
    assert any(item["because_of_genres"] for item in like["items"])
    assert ids(endpoint.client.get("/latest?by=taste&user_id=u1&exclude=new1")) == ["new2"]
    answer = endpoint.client.get("/latest?by=taste")
    assert answer.status_code == 422
    assert "user_id" in answer.text


def test_the_page_shows_what_nobody_has_rated_and_why(endpoint: EndpointProcess) -> None:
    here = {"Sec-Fetch-Site": "same-origin"}
    with endpoint.another_client(headers=here) as browser:
        browser.post("/app/come", data={"user": "u1"})
        home, movie = browser.get("/app").text, browser.get(url("movie", id="new2")).text
    row = home.split(texts().home.unrated)[1].split("<h2")[0]
    assert "Film 90" in row
    assert "because of its genres: " in row
    assert texts().movie.similar_content in movie
    assert "both Drama" in movie


def test_without_times_the_popular_movies_are_shown_and_the_reason_said(
    endpoint: EndpointProcess,
) -> None:
    endpoint.reload(3)
    try:
        answer = endpoint.client.get("/popular?window=7d").json()
        assert (answer["source"], answer["fallback_reason"]) == ("popular", "no_times")
        assert answer["items"]
    finally:
        endpoint.reload(1)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("the lantern", ["m20"]),
        ("LANTERN, THE", ["m20", "m22"]),
        ("a lantern", ["m20"]),
        ("green  lantern", ["m22"]),
        ("amelie", ["m21"]),
        ("AMÉLIE", ["m21"]),
        ("no such", []),
    ],
)
def test_a_title_is_found_however_it_is_written(
    endpoint: EndpointProcess, query: str, found: list[str]
) -> None:
    answer = endpoint.client.get("/movies", params={"query": query})
    assert sorted(ids(answer)) == found


def test_every_movie_is_reached_by_paging(endpoint: EndpointProcess) -> None:
    found = everything(endpoint, "/movies", n=7)
    assert sorted(found) == sorted([*models.content().item_ids, "new1", "new2"])
    assert found[-2:] == ["new1", "new2"]
    dramas = everything(endpoint, "/movies", n=7, genre="Drama")
    assert set(dramas) == {id_ for id_, movie in catalogue().items() if "Drama" in movie.genres}
    new = endpoint.client.get("/movies/new2").json()
    assert (new["ratings"], new["year"], new["listed"]) == (0, 1991, True)


def test_pages_go_on_in_their_version_over_a_reload(endpoint: EndpointProcess) -> None:
    paths = ("/movies", "/popular", "/latest", "/similar/m2", "/recommend/u0", "/recommend/u3")
    whole = {path: ids(endpoint.client.get(path, params={"n": 20})) for path in paths}
    first = {path: endpoint.client.get(path, params={"n": 6}) for path in paths}
    endpoint.reload(2)
    try:
        for path in paths:
            token = first[path].json()["next_page"]
            answer = endpoint.client.get(path, params={"n": 14, "page": token})
            assert ids(first[path]) + ids(answer) == whole[path]
            assert answer.json()["model_version"] == 1
            other = endpoint.client.get(path, params={"page": token, "genre": "Drama"})
            assert other.status_code == 422  # the token is of another list
        aside = endpoint.store / ".aside"
        shutil.move(endpoint.store / "1", aside)
        for path in paths:
            token = first[path].json()["next_page"]
            assert endpoint.client.get(path, params={"page": token}).status_code == 410
        shutil.move(aside, endpoint.store / "1")
    finally:
        endpoint.reload(1)


def test_a_takedown_holds_on_pages_of_an_older_version(endpoint: EndpointProcess) -> None:
    first = endpoint.client.get("/popular?n=5").json()
    second = ids(endpoint.client.get("/popular", params={"n": 5, "page": first["next_page"]}))
    admin = {"Authorization": f"Bearer {TOKEN}"}
    endpoint.reload(2)
    assert endpoint.client.put(f"/blocklist/{second[0]}", headers=admin).json()["changed"]
    try:
        again = endpoint.client.get("/popular", params={"n": 5, "page": first["next_page"]})
        assert second[0] not in ids(again)
    finally:
        endpoint.client.delete(f"/blocklist/{second[0]}", headers=admin)
        endpoint.reload(1)


def test_a_publication_of_0_2_0_is_read(tmp_path: Path) -> None:
    """It knows no years, days or columns, and no movie has left its catalogue."""
    store = tmp_path / "models"
    models.publish_version(store, 1)
    path = store / "1" / "publication.json"
    document = unseal(path.read_bytes(), "", (3,))
    kept = ("top_items", "top_scores", "titles", "title_offsets", "item_genres")
    files = {f"{name}.npy": document["files"][f"{name}.npy"] for name in kept}
    del document["columns"], document["ranking"]
    path.write_text(seal({**document, "format_version": 1, "files": files}))
    old = PublishedModel.open(store, 1, verify=True)
    assert old.catalogue.withdrawn is None
    assert "titre “4”, the" in old.catalogue.searchable[4].replace('"', "“", 1).replace('"', "”", 1)
    assert len(most_popular(old, Slice(40))) == 40
    assert for_users(old, [3], Slice(5))
