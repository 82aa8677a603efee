"""The lists by FastAPI and uvicorn, which import nothing else: `python -m
bench.serving.fastapi_lists HOW HOME PORT`.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from bench.serving.lists import PROCESSES, listed, opened, ranked, ranked_by_numpy, users
from movierec_serving.bundle import Evidence


class Item(BaseModel):
    movie_id: str
    title: str | None
    genres: list[str]
    score: float
    source: str


class Recommendations(BaseModel):
    recommendation_id: str
    model_version: int
    data_until: str
    source: str
    items: list[Item]


def app() -> Any:
    """FastAPI's, in each of uvicorn's processes."""
    name, model, made = os.environ["CONTENDER"], opened(os.environ["CONTENDER_HOME"]), FastAPI()
    bundle, rank = model.bundle, ranked_by_numpy if name == "numpy" else ranked
    bodies: dict[str, bytes] = {}
    if name == "bytes":
        bodies = {id_: json.dumps(listed(model, id_)).encode() for id_ in users(model)}

        @made.get("/recommend/{user_id}")
        async def get_bytes(user_id: str) -> Response:
            return Response(bodies[user_id], media_type="application/json")

    # Handlers that wait for nothing, as "async": in a thread each would cost half as much again.
    @made.get("/recommend/{user_id}", response_model=Recommendations)
    async def get(user_id: str) -> Any:
        if name == "pydantic":
            return listed(model, user_id)
        row = bundle.user_row(user_id) or 0
        return rank(model, bundle.user_vectors([row])[0], bundle.seen(row))

    @made.post("/recommend", response_model=Recommendations)
    async def fold_in(request: Request) -> Any:
        rated = (await request.json())["ratings"]
        evidence = Evidence.of_ratings(
            bundle, {bundle.item_row(rating["movie_id"]) or 0: rating["rating"] for rating in rated}
        )
        return rank(model, evidence.vector(), evidence.rows)

    return made


if __name__ == "__main__":
    os.environ |= {"CONTENDER": sys.argv[1], "CONTENDER_HOME": sys.argv[2]}
    uvicorn.run(
        "bench.serving.fastapi_lists:app",
        factory=True,
        host="127.0.0.1",
        port=int(sys.argv[3]),
        workers=PROCESSES,
        log_level="warning",
        access_log=False,
    )
