"""Debian's chromium, driven by Playwright, on a real endpoint; a page that does wrong fails."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
# No sandbox and no GPU: tests run as root in containers. The rest asks no server for anything.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
PATIENCE = 60_000  # milliseconds for a state to be reached


@contextmanager
def chromium() -> Iterator[Browser]:
    """Skips the test, and says so, where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_at(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """A window of its own, that has no cookie yet.

    It fails the test if a script fails, the policy refuses something, a dialog opens, or anything
    but `url` is asked.
    """
    context = browser.new_context(base_url=url, **options)
    context.set_default_timeout(PATIENCE)
    page, wrong = context.new_page(), list[str]()
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda asked: None if asked.url.startswith(url) else wrong.append(asked.url))
    try:
        yield page
    finally:
        context.close()
    told = ("Failed to load resource", "htmx:")  # what a test brought about, and looks at itself
    wrong = [line for line in wrong if not line.startswith(told)]
    assert not wrong, wrong


def violations(page: Page) -> list[str]:
    """What axe-core finds, by its rules for WCAG A and AA and best practice."""
    found = Axe().run(page).response["violations"]
    return [f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]
