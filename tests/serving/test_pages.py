"""The pages for people, which need nothing from another host."""

import re

import pytest

from tests.support.endpoint_process import EndpointProcess


def test_the_root_says_what_this_is(endpoint: EndpointProcess) -> None:
    about = endpoint.client.get("/").json()
    assert about["name"] == "movierec"
    endpoint.reload(1)
    for path in about["links"].values():
        assert endpoint.client.get(path).status_code == 200
    page = endpoint.client.get("/", headers={"Accept": "text/html,*/*"})
    assert page.headers["Content-Type"].startswith("text/html")
    assert {"docs", "health", "metrics"} <= set(re.findall('href="([^"]+)"', page.text))


def test_all_that_the_document_page_needs_is_here(endpoint: EndpointProcess) -> None:
    page = endpoint.client.get("/docs")
    needed = re.findall('(?:src|href)="([^"]+)"', page.text)
    assert len(needed) >= 4
    for path in needed:
        if path != "data:,":
            answer = endpoint.client.get(f"/{path}")
            assert answer.status_code == 200
            assert path == "openapi.json" or answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "://" not in page.text
    assert "<script>" not in page.text


@pytest.mark.parametrize("path", ["/", "/docs", "/static/docs.js"])
def test_pages_may_load_nothing_from_elsewhere(endpoint: EndpointProcess, path: str) -> None:
    headers = endpoint.client.get(path, headers={"Accept": "text/html"}).headers
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert not re.search(r"unsafe|https?:|\*", headers["Content-Security-Policy"])


def test_no_other_file_is_sent(endpoint: EndpointProcess) -> None:
    for name in ("README.md", "../app.py", "..%2fapp.py", "%2e%2e/app.py", ""):
        assert endpoint.client.get(f"/static/{name}").status_code == 404
