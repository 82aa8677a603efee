"""The pages for people, as HTTP: who may send a form, what is kept in cookies, what is escaped."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from movierec_serving.bundle import (
    PipelineReport,
    ReportedDay,
    ReportedProduction,
    write_report,
)
from movierec_serving.bundle.experiment import Arm, Experiment
from movierec_serving.http.forgery import from_here
from movierec_serving.http.pages.cards import title_and_year
from movierec_serving.http.pages.rendering import environment, in_words, stars_in_words, texts
from tests.serving.conftest import sample_endpoint
from tests.support import sample_models as models
from tests.support.endpoint_process import TOKEN, EndpointProcess

HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EndpointProcess]:
    """This module's: what users do is kept, and is in their lists from then on."""
    with sample_endpoint(tmp_path_factory.mktemp("endpoint")) as process:
        yield process


@pytest.fixture
def client(endpoint: EndpointProcess) -> Iterator[httpx.Client]:
    """A browser, so to speak, with cookies of its own."""
    endpoint.reload(1)
    with endpoint.another_client() as browser:
        yield browser


def come(client: httpx.Client, user: str) -> None:
    answer = client.post("/app/come", data={"user": user}, headers=HERE)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/app")


def report(**changed: object) -> PipelineReport:
    fields: dict[str, object] = {
        "format_version": 1,
        "at": datetime.now(UTC).isoformat(),
        "production": ReportedProduction(
            version=7, data_until="1998-04-21", days_behind=1, why=None
        ),
        "look": ("1998-04-20 is refused: <half> of it",),
        "days": (
            ReportedDay(
                day="1998-04-21", rows=1234, refused=None, version=7, gate="passed", reason="better"
            ),
            ReportedDay(
                day="1998-04-20",
                rows=10,
                refused="<half> of it",
                version=None,
                gate=None,
                reason="",
            ),
        ),
        "refused": {"1998-04-20": "<half> of it"},
        "deployed_after": 12.0,
        "experiments": (),
        "links": {"Dagster": "http://127.0.0.1:3000"},
    }
    return PipelineReport(**{**fields, **changed})  # type: ignore[arg-type]


# -- forms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site", "origin": "http://h:1", "host": "h:1"}, False),
        ({"origin": "https://H:1", "host": "h:1"}, True),
        ({"origin": "https://h:1.evil.example", "host": "h:1"}, False),
        ({"origin": "null", "host": "h:1"}, False),
        ({"origin": "http://[bad", "host": "h:1"}, False),
        ({"host": "h:1"}, False),
        ({}, False),
    ],
)
def test_a_form_counts_only_from_a_page_of_this_endpoint(
    headers: dict[str, str], accepted: bool
) -> None:
    assert from_here(headers) is accepted


@pytest.mark.parametrize("path", ["/app/come", "/app/leave", "/app/act", "/app/key"])
def test_a_forged_form_changes_nothing(client: httpx.Client, path: str) -> None:
    come(client, "u1")
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}):
        form = {"user": "mallory", "movie": "m1", "act": "dislike"}
        answer = client.post(path, data=form, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        assert "did not come from this page" in answer.text
    assert client.get("/users/u1/events").json()["total"] == 0


def test_the_cookie_says_who_and_is_for_the_pages_alone(client: httpx.Client) -> None:
    answer = client.post("/app/come", data={"user": " ünïcode "}, headers=HERE)
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "Path=/app", "SameSite=strict"} <= set(cookie.split("; "))
    assert "ünïcode" in client.get("/app").text
    client.post("/app/leave", headers=HERE)
    assert "What shall we watch?" in client.get("/app").text


@pytest.mark.parametrize("value", ["%", "AAAA", "gA==", "", "=", "x" * 5000])
def test_a_cookie_that_is_not_ours_is_nobody(client: httpx.Client, value: str) -> None:
    answer = client.get("/app", headers={"Cookie": f"movierec_user={value}"})
    assert answer.status_code == 200
    assert "What shall we watch?" in answer.text or "AAAA" in value


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"movie": "m1", "act": "rate", "stars": "0"}, "Choose your stars"),
        ({"movie": "m1", "act": "rate", "stars": "4.3"}, "Choose your stars"),
        ({"movie": "m1", "act": "rate", "stars": "nan"}, "Choose your stars"),
        ({"movie": "m1", "act": "rate", "stars": "<b>"}, "not right"),
        ({"movie": "m1", "act": "buy"}, "not right"),
        ({"movie": "m" * 65, "act": "dislike"}, "not right"),
        ({"movie": "m1", "act": "dislike", "place": "../x"}, "not right"),
        ({"act": "dislike"}, "not right"),
    ],
)
def test_a_wrong_form_says_what_is_wrong(
    client: httpx.Client, form: dict[str, str], said: str
) -> None:
    come(client, "u2")
    answer = client.post("/app/act", data=form, headers=HERE)
    assert answer.status_code == 422
    assert said in answer.text
    part = client.post("/app/act", data=form, headers={**HERE, "HX-Request": "true"})
    assert part.text.startswith("<p>")
    assert client.get("/users/u2/events").json()["total"] == 0


def test_however_many_were_not_seen_a_page_can_be_shown(client: httpx.Client) -> None:
    come(client, "u6-new")
    page = client.get("/app", params=[("skipped", f"m{n}") for n in range(200)])
    assert page.status_code == 200
    kept = page.text.count('name="skipped"')
    assert kept < 200 * 2
    form = [("movie", "m1"), ("act", "dismiss"), ("place", "personal")]
    form += [("skipped", f"m{n}") for n in range(156)]
    sent = urlencode(form)
    headers = {**HERE, "HX-Request": "true", "Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/app/act", content=sent, headers=headers).status_code == 200


def test_a_form_that_is_too_large_is_refused_as_any_body(client: httpx.Client) -> None:
    come(client, "u6-new")
    chunks = (b"x" * 65_536 for _ in range(20))
    assert client.post("/app/act", content=chunks, headers=HERE).status_code == 413


def test_a_rating_on_the_page_is_an_event_with_its_list(client: httpx.Client) -> None:
    come(client, "u3")
    page = client.get("/app").text
    (movie, list_id), *_ = re.findall(
        'name="movie" value="([^"]+)">\\s+<input[^>]+value="([^"]+)"', page
    )
    form = {"movie": movie, "list": list_id, "act": "rate", "stars": "4.5", "place": "personal"}
    answer = client.post("/app/act", data=form, headers={**HERE, "HX-Request": "true"})
    assert f'value="{movie}"' not in answer.text.split('id="said"')[0]
    (event,) = client.get("/users/u3/events").json()["items"]
    assert (event["movie_id"], event["type"], event["value"]) == (movie, "rating", 4.5)
    assert event["recommendation_id"] == list_id
    client.post("/app/act", data={"movie": movie, "act": "remove"}, headers=HERE)


# -- keys ------------------------------------------------------------------------------------------


def test_a_person_gives_the_key_once(tmp_path: Path) -> None:
    process = EndpointProcess(tmp_path, MOVIEREC_API_KEYS="first, second")
    models.publish_version(process.store, 1)
    try:
        process.start()
        process.reload(1)
        for given in ("second", TOKEN):
            with process.another_client() as client:
                asked = client.get("/app/movie?id=m1")
                assert (asked.status_code, asked.headers["Location"]) == (303, "/app/key")
                part = client.get("/app", headers={"HX-Request": "true"})
                assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/app/key")
                wrong = client.post("/app/key", data={"key": "third"}, headers=HERE)
                assert wrong.status_code == 401
                kept = client.post("/app/key", data={"key": given}, headers=HERE)
                assert given not in kept.headers["Set-Cookie"]
                assert client.get("/app").status_code == 200
                assert client.get("/app/status").status_code == 200
                assert client.get("/recommend/u1").status_code == 401  # pages, and nothing else
    finally:
        process.close()


# -- pages -----------------------------------------------------------------------------------------


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    process = EndpointProcess(tmp_path, MOVIEREC_APP="off")
    try:
        process.start()
        assert process.client.get("/app").status_code == 404
        assert process.client.get("/app/status").status_code == 404
    finally:
        process.close()


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/app/movie?id=nobody-knows", 404, "We do not know this movie"),
        ("/app/movie", 422, "This address is not right"),
        (f"/app/movie?id={'x' * 65}", 422, "This address is not right"),
        ("/app/genre?name=Nothing", 404, "We do not know this genre"),
        ("/app/genre?name=Drama&offset=-1", 422, "This address is not right"),
        ("/app/search?query=%3Cb%3E", 200, "No title contains “&lt;b&gt;”"),
        ("/app/search?query=%00", 200, "No title contains"),
        ("/app/rated", 200, "Your ratings"),
    ],
)
def test_what_cannot_be_shown_is_explained(
    client: httpx.Client, path: str, status: int, said: str
) -> None:
    come(client, "u4")
    answer = client.get(path)
    assert answer.status_code == status
    assert said in answer.text
    assert answer.headers["Content-Type"].startswith("text/html")


def test_who_is_new_does_not_become_somebody_who_is_known(client: httpx.Client) -> None:
    def as_new(user: str) -> httpx.Response:
        return client.post("/app/come", data={"user": user, "new": "1"}, headers=HERE)

    assert as_new("u-fresh").status_code == 303
    event = {"user_id": "u-fresh", "movie_id": "m1", "type": "rating", "value": 4}
    assert client.post("/events", json=event).is_success
    client.cookies.clear()
    for known in ("u1", "u-fresh"):
        answer = as_new(known)
        assert (answer.status_code, dict(answer.cookies)) == (409, {})
        assert "Somebody here has this name" in answer.text
    assert as_new("").status_code == 303  # a name is made up


def test_whoever_did_not_come_is_asked_first(client: httpx.Client) -> None:
    for path in ("/app/movie?id=m1", "/app/search?query=a", "/app/rated", "/app/genre?name=Drama"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/app")


def test_pages_load_nothing_from_elsewhere_and_nothing_inline(client: httpx.Client) -> None:
    come(client, "u5")
    for path in ("/app", "/app/status", "/app/movie?id=m1"):
        answer = client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert not re.search(r"unsafe|https?:|\*", policy)
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert not re.search(r"<style|<script>|\sstyle=|\son\w+=", answer.text)
        for needed in re.findall('<(?:link|script)[^>]+(?:href|src)="([^"]+)"', answer.text):
            assert client.get(needed).status_code == 200


# -- status ----------------------------------------------------------------------------------------


def test_the_status_shows_what_the_pipeline_told(endpoint: EndpointProcess) -> None:
    assert "has not told how it is" in endpoint.client.get("/app/status").text
    write_report(endpoint.store, report())
    try:
        page = endpoint.client.get("/app/status").text
        told = ("version 7", "1 day behind", "1,234", "passed", "12 s", "http://127.0.0.1:3000")
        assert [one for one in told if one not in page] == []
        assert "&lt;half&gt; of it" in page
        assert "<half>" not in page
        old = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
        write_report(endpoint.store, report(at=old))
        assert "written 3 h ago" in endpoint.client.get("/app/status").text
        (endpoint.store / "status.json").write_text('{"half": ')
        assert "has not told how it is" in endpoint.client.get("/app/status").text
    finally:
        (endpoint.store / "status.json").unlink()


def test_an_experiment_is_shown_with_its_arms(endpoint: EndpointProcess) -> None:
    arms = (Arm(name="production"), Arm(name="bolder", version=2))
    experiment = Experiment.of("stars", "salt-of-it", arms, {"production": 0.75, "bolder": 0.25})
    headers = {"Authorization": f"Bearer {TOKEN}"}
    asked = {k: v for k, v in experiment.model_dump(mode="json").items() if k != "format_version"}
    try:
        assert endpoint.client.put("/experiment", json=asked, headers=headers).status_code == 200
        page = endpoint.client.get("/app/status").text
        told = ("stars is under way", "bolder: 25 % of the users, version 2")
        assert [one for one in told if one not in page] == []
    finally:
        endpoint.client.delete("/experiment", headers=headers)


def test_a_report_links_to_addresses_alone() -> None:
    with pytest.raises(ValueError, match="no http address"):
        report(links={"x": "javascript:alert(1)"})


# -- texts -----------------------------------------------------------------------------------------


def test_every_text_is_used_and_every_text_that_is_used_is_there() -> None:
    """Texts are in one place; a template that misspells one fails only when it is shown."""
    folder = files("movierec_serving.http").joinpath("pages")
    written = "\n".join(
        file.read_text(encoding="utf-8")
        for place in (folder, folder.joinpath("templates"))
        for file in place.iterdir()
        if file.name.endswith((".html", ".py"))
    )
    known = {f"{name}.{key}" for name, part in vars(texts()).items() for key in vars(part)}
    used = set(re.findall(r"\bt\.(\w+\.\w+)", written))
    assert used - known == set()
    words = set(re.findall(r"\w+", written))
    by_name = re.compile(r"(_hint|_label|_go)$|^fallback_")  # whose names are put together
    left = {one for one in known if not by_name.search(one.split(".")[1])}
    assert {one for one in left if one.split(".")[1] not in words} == set()


def test_every_template_compiles() -> None:
    for name in environment().list_templates():
        environment().get_template(name)


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Wizard of Oz, The (1939)", ("The Wizard of Oz", "1939")),
        ("L'Avventura", ("L'Avventura", "")),
        ("2001: A Space Odyssey (1968)", ("2001: A Space Odyssey", "1968")),
        ("(1999)", ("(1999)", "")),
        (None, ("", "")),
    ],
)
def test_a_title_is_shown_as_people_say_it(title: str | None, shown: tuple[str, str]) -> None:
    assert title_and_year(title) == shown


def test_numbers_are_said_as_people_say_them() -> None:
    assert [stars_in_words(stars) for stars in (0.5, 1, 4.5, 5)] == ["½", "1", "4½", "5"]
    assert [in_words(one) for one in (-3, 59, 61, 7200, 86_400 * 3)] == [
        "0 s",
        "59 s",
        "1 min",
        "2 h",
        "3 days",
    ]
