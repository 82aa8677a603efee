"""The pages for people, in a real browser on a real endpoint."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from movierec_serving.bundle import PipelineReport, ReportedDay, write_report
from tests.support.browser import chromium, page_at, violations
from tests.support.endpoint_process import TOKEN, EndpointProcess
from tests.support.tastes import HOSTILE, publish_tastes

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def tastes(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[EndpointProcess]:
    """An endpoint with versions 1 and 2 of models of users with a taste; it serves 1."""
    process = EndpointProcess(tmp_path_factory.mktemp("tastes"))
    for version in (1, 2):
        publish_tastes(process.store, version)
    try:
        process.start()
        process.reload(1)
        yield process
    finally:
        process.close()


@pytest.fixture
def page(browser: Browser, tastes: EndpointProcess) -> Iterator[Page]:
    with page_at(browser, tastes.url, viewport=DESKTOP) as opened:
        yield opened


def come(page: Page, user: str, new: bool = False) -> None:
    page.goto("/app")
    page.get_by_label("Your name" if new else "Your id or name", exact=True).fill(user)
    page.get_by_role("button", name="Start" if new else "Continue").click()
    expect(page.locator("#personal")).to_be_attached()


def movies_of(row: Locator) -> list[str]:
    """The titles, first to last."""
    return row.locator(".cover h3").all_text_contents()


def rate(card: Locator, stars: float) -> None:
    """Click on a star, as a mouse does: its left half is half a star less."""
    slider = card.locator(".stars input")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    slider.click(position={"x": box["width"] * (stars / 5 - 0.05), "y": box["height"] / 2})


def card_of(page: Page, title: str) -> Locator:
    return page.locator(".card", has=page.get_by_text(title, exact=True)).first


def test_five_horror_movies_make_a_list_of_horror(page: Page) -> None:
    come(page, "new-horror", new=True)
    assert "0 of 5" in page.locator("#ask").inner_text()
    expect(page.locator("#for-you")).to_have_count(0)
    page.get_by_role("searchbox").fill("horror")
    page.keyboard.press("Enter")
    cards = page.locator("#found .card")
    expect(cards.first).to_be_visible()
    rated = page.locator("#found .cover h2").all_text_contents()[:5]
    for place in range(5):
        rate(cards.nth(place), 4.5)
        expect(page.locator("#said")).to_contain_text("4½ stars")
        expect(cards.nth(place).get_by_role("button", name="Undo")).to_be_visible()
    page.goto("/app")
    expect(page.locator("#ask")).to_have_count(0)
    row = page.locator("#for-you")
    shown = movies_of(row)
    assert len(set(shown)) == len(shown) > 6
    assert all(title.startswith("Horror") for title in shown[:6]), shown
    assert not set(shown) & set(rated)
    assert "as you liked Horror" in row.inner_text()
    assert "version 1, data until 1998-04-21" in row.inner_text()


def test_the_list_changes_as_one_rates_and_what_was_rated_never_comes_back(page: Page) -> None:
    come(page, "u0")  # likes comedies
    row = page.locator("#for-you")
    before = movies_of(row)
    rate(row.locator(".card").first, 5)
    expect(row.locator(".cover h3").first).not_to_have_text(before[0])
    expect(page.locator("#said")).to_contain_text(f"You gave {before[0]} 5 stars")
    page.reload()
    assert before[0] not in page.locator(".cover h3").all_text_contents()
    page.goto("/app/rated")
    expect(card_of(page, before[0]).get_by_role("slider")).to_have_attribute(
        "aria-valuetext", "5 stars"
    )


def test_what_was_dismissed_comes_back_by_undo_alone(page: Page) -> None:
    come(page, "u1")
    first = movies_of(page.locator("#for-you"))[0]
    page.get_by_role("button", name=f"Not interested: {first}", exact=True).click()
    expect(page.locator("#said")).to_contain_text(f"{first} is off your lists")
    assert first not in page.locator(".cover h3").all_text_contents()
    page.reload()
    assert first not in page.locator(".cover h3").all_text_contents()
    second = movies_of(page.locator("#for-you"))[0]
    page.get_by_role("button", name=f"Dislike: {second}", exact=True).click()
    expect(page.locator("#said")).to_contain_text(f"You dislike {second}")
    page.get_by_role("button", name=f"Undo: {second}").click()
    expect(page.locator("#for-you")).to_contain_text(second)
    assert first not in page.locator(".cover h3").all_text_contents()


def test_a_reload_of_the_model_goes_unnoticed_in_an_open_page(
    page: Page, tastes: EndpointProcess
) -> None:
    come(page, "u2")
    expect(page.locator("#for-you")).to_contain_text("version 1")
    try:
        tastes.reload(2)
        first = movies_of(page.locator("#for-you"))[0]
        rate(page.locator("#for-you .card").first, 4)
        expect(page.locator("#for-you")).to_contain_text("version 2, data until 1998-04-22")
        assert first not in movies_of(page.locator("#for-you"))
    finally:
        tastes.reload(1)


def test_a_blocked_movie_is_nowhere(page: Page, tastes: EndpointProcess) -> None:
    come(page, "u3")
    title = movies_of(page.locator("#for-you"))[0]
    address = page.locator("#for-you .cover").first.get_attribute("href") or ""
    id_ = address.rpartition("=")[2]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    tastes.client.put(f"/blocklist/{id_}", headers=headers)
    try:
        rate(page.locator("#for-you .card").nth(1), 3)  # a page that was open before
        expect(page.locator("#for-you")).not_to_contain_text(title)
        page.goto(f"/app/search?query={title}")
        assert title not in page.locator("#found .cover h2").all_text_contents()
        page.goto(address)
        expect(page.locator("h1")).to_have_text("This movie was taken off")
    finally:
        tastes.client.delete(f"/blocklist/{id_}", headers=headers)


@pytest.mark.parametrize("id_", HOSTILE)
def test_hostile_titles_and_ids_are_text(page: Page, id_: str) -> None:
    come(page, f"<i>{id_}</i>")
    title = HOSTILE[id_].rpartition(" (")[0] or HOSTILE[id_]
    expect(page.locator(".who bdi")).to_have_text(f"<i>{id_}</i>")
    page.goto("/app/genre?name=Western")
    card = page.locator(".card", has=page.locator(".cover h2").get_by_text(title, exact=True))
    card.locator(".cover").click()
    expect(page.locator("h1")).to_have_text(title)
    rate(page.locator(".movie"), 3.5)
    expect(page.locator("#said")).to_contain_text(f"You gave {title} 3½ stars")
    page.goto("/app/rated")
    assert page.locator(".cover h2").all_text_contents() == [title]


def test_a_keyboard_is_enough(page: Page) -> None:
    come(page, "by-keyboard")
    slider = page.locator("#ask").get_by_role("slider").first
    title = page.locator("#ask .cover h3").first.inner_text()
    slider.focus()
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "4½ stars")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text(f"You gave {title} 4½ stars")
    expect(page.locator("#ask").get_by_role("slider").first).to_be_focused()
    expect(page.locator("#ask")).to_contain_text("1 of 5")


def test_what_was_not_seen_is_not_asked_again(page: Page) -> None:
    come(page, "has-seen-none")
    asked = movies_of(page.locator("#ask"))
    for _ in range(2):
        page.get_by_role("button", name="I have seen none of these").click()
        expect(page.locator("#ask .cover h3").first).not_to_have_text(asked[0])
        more = movies_of(page.locator("#ask"))
        assert not set(more) & set(asked)
        asked += more
    rate(page.locator("#ask .card").first, 4)
    expect(page.locator("#ask")).to_contain_text("1 of 5")
    assert not set(movies_of(page.locator("#ask"))) & set(asked[:-6])


def test_an_endpoint_that_is_gone_is_said(page: Page) -> None:
    come(page, "u4")
    page.route("**/app/act", lambda route: route.abort())
    rate(page.locator("#for-you .card").first, 4)
    expect(page.locator("#said")).to_contain_text("cannot be reached")


def test_it_works_without_script(browser: Browser, tastes: EndpointProcess) -> None:
    with page_at(browser, tastes.url, java_script_enabled=False) as page:
        come(page, "no-script")
        title = page.locator("#ask .cover h3").first.inner_text()
        page.get_by_role("button", name=f"Dislike: {title}", exact=True).first.click()
        assert page.url.endswith("/app")
        assert title not in movies_of(page.locator("#ask"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_axe_finds_nothing(
    browser: Browser, tastes: EndpointProcess, scheme: str, size: dict[str, int]
) -> None:
    with page_at(browser, tastes.url, viewport=size, color_scheme=scheme) as page:
        page.goto("/app")
        assert violations(page) == []
        come(page, f"axe-{scheme}-{size['width']}")
        for path in ("", "/movie?id=h1", "/search?query=horror", "/genre?name=Horror", "/status"):
            page.goto(f"/app{path}")
            assert violations(page) == [], path
            wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wider <= 0, f"{path}: the page is {wider} px wider than the screen"
        page.goto("/app")
        rate(page.locator("#ask .card").first, 4)
        expect(page.locator("#said")).to_contain_text("4 stars")
        assert violations(page) == []


def test_the_status_is_read_on_a_phone_without_scrolling_sideways_and_breaks_no_word(
    browser: Browser, tastes: EndpointProcess
) -> None:
    day = ReportedDay(
        day="1998-04-21",
        rows=123_456,
        refused=f"columns: unknown {'user_id;' * 20!r}",
        version=None,
        gate=None,
        reason="",
    )
    long = "NDCG@10 0.1859 against production's 0.1857: of 904 users that production knows; " * 3
    passed = ReportedDay(
        day="1998-04-20", rows=193, refused=None, version=13, gate="passed", reason=long
    )
    report = PipelineReport(
        format_version=1,
        at=datetime.now(UTC).isoformat(),
        production=None,
        look=(str(day.refused),),
        days=(day, passed),
        refused={day.day: str(day.refused)},
        deployed_after=None,
        experiments=(),
        links={},
    )
    write_report(tastes.store, report)
    try:
        with page_at(browser, tastes.url, viewport=PHONE) as page:
            page.goto("/app/status")
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            reason = page.get_by_role("table").get_by_text("user_id;").bounding_box()
            assert reason is not None
            assert reason["width"] > PHONE["width"] * 0.8
        with page_at(browser, tastes.url) as page:
            page.goto("/app/status")
            word = page.get_by_role("cell", name="passed", exact=True)
            lines = "cell => { const all = new Range(); all.selectNodeContents(cell); \
                return all.getClientRects().length }"
            assert word.evaluate(lines) == 1
    finally:
        (tastes.store / "status.json").unlink()


def test_without_a_model_a_page_says_so(browser: Browser, tmp_path: Path) -> None:
    process = EndpointProcess(tmp_path)
    try:
        process.start()
        with page_at(browser, process.url) as page:
            page.goto("/app")
            page.get_by_role("button", name="Start").click()
            expect(page.locator("h1")).to_have_text("There is no model yet")
            assert violations(page) == []
    finally:
        process.close()
