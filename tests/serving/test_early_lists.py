"""A user's list before FastAPI reads the question: it is read as FastAPI would."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Query

from movierec_serving.http.middleware.early_lists import options_of
from movierec_serving.http.schemas.requests import PagedOptions

APP = FastAPI()
MANY = "&".join(f"exclude={movie}" for movie in range(1000))


@APP.get("/")
async def read(options: Annotated[PagedOptions, Query()]) -> dict[str, Any]:
    return said(options)


def said(options: PagedOptions) -> dict[str, Any]:
    return {"given": sorted(options.model_fields_set), **options.model_dump()}


def by_fastapi(query: bytes) -> dict[str, Any] | None:
    """What FastAPI read, None if it refused to."""
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": query, "headers": []}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(APP(scope, receive, send))
    start, body = sent
    assert start["status"] in (200, 422)
    return json.loads(body["body"]) if start["status"] == 200 else None


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"n=3&n=4",
        b"n=%203",
        b"n=+3",
        b"n=3.0",
        b"&&n=3&",
        b"shown=false&explain=TRUE",
        b"shown=0&explain=yes&explain=no",
        b"genre=Comedy&exclude=1&genre=Drama&exclude=2&year_from=1990",
        b"genre=a%26b%3Dc&where=country:%C3%85land&genre_none=x+y",
        b"exclude=%FF&exclude=\xe9&genre=\xc3\xa9",
        b"page=3-10-0a1b2c3d",
        MANY.encode(),
    ],
)
def test_options_are_read_as_by_fastapi(query: bytes) -> None:
    options = options_of(query)
    assert options is not None
    assert said(options) == by_fastapi(query)


@pytest.mark.parametrize(
    "query",
    [
        b"n",
        b"n=",
        b"n=0",
        b"n=101",
        b"limit=3",
        b"genre=",
        b"exclude=%00",
        b"exclude[]=1",
        b"shown=perhaps",
        b"page=first",
        b"year_from=0",
        f"{MANY}&exclude=1000".encode(),
    ],
)
def test_options_that_are_wrong_are_left_to_fastapi(query: bytes) -> None:
    assert options_of(query) is None
    assert by_fastapi(query) is None
