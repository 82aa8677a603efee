"""What people would serve recommendations with instead, each in a process of its own, on the same published model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import litserve as ls
import uvicorn
from fastapi import FastAPI, Request, Response

from movierec_serving.bundle import Evidence, PublishedModel, top_items
from movierec_serving.schemas import Recommendations


class Plain(ls.LitAPI):  # type: ignore[misc]
    """LitServe as its documentation has it."""

    def __init__(self, home: Path) -> None:
        super().__init__(api_path="/recommend")
        self._store = home / "warehouse" / "models"

    def setup(self, device: str) -> None:
        self.model = PublishedModel.open(self._store, 1)

    def decode_request(self, request):  # type: ignore[no-untyped-def] # as its documentation has it
        return str(request["user_id"])

    def predict(self, user_id: str) -> dict[str, Any]:
        return listed(self.model, user_id)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


def contend(name: str, home: Path, port: int) -> None:
    """In a process of its own: serve with what `name` says."""
    model = PublishedModel.open(home / "warehouse" / "models", 1)
    if name == "litserve predict":
        server = ls.LitServer(Plain(home), accelerator="cpu")
        server.run(
            host="127.0.0.1",
            port=port,
            num_api_servers=2,
            log_level="warning",
            access_log=False,
            generate_client_file=False,
        )
        return
    app, bodies = FastAPI(), {}
    if name == "fastapi bytes":
        ids = [model.bundle.user_id(row) for row in range(min(len(model.bundle.user_ids), 1000))]
        bodies = {id_: json.dumps(listed(model, id_)).encode() for id_ in ids}

    @app.get("/recommend/{user_id}", response_model=Recommendations, response_model_exclude_none=True)
    async def get(user_id: str) -> Any:
        if name == "fastapi bytes":
            return Response(bodies[user_id], media_type="application/json")
        if name == "fastapi kernel":
            row = model.bundle.user_row(user_id) or 0
            return ranked(model, model.bundle.user_factors[[row]], model.bundle.seen(row))
        return listed(model, user_id)

    @app.post("/recommend", response_model=Recommendations, response_model_exclude_none=True)
    async def fold(request: Request) -> Any:
        stars = {
            model.bundle.item_row(one["movie_id"]): one["rating"] for one in (await request.json())["ratings"]
        }
        evidence = Evidence.of_ratings(model.bundle, stars)
        return ranked(model, evidence.factors()[None], evidence.rows)

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def listed(model: PublishedModel, user_id: str) -> dict[str, Any]:
    row = model.bundle.user_row(user_id) or 0
    return answer(model, model.top_items[row, :10].tolist(), model.top_scores[row, :10].tolist())


def ranked(model: PublishedModel, vectors: Any, seen: Any) -> dict[str, Any]:
    bundle = model.bundle
    items, scores = top_items(bundle.item_factors, vectors, [seen], 10, longest=bundle.longest_item)
    return answer(model, items[0].tolist(), scores[0].tolist())


def answer(model: PublishedModel, items: list[int], scores: list[float]) -> dict[str, Any]:
    rows = [
        {**model.card(item), "score": round(score, 6), "source": "als"}
        for item, score in zip(items, scores, strict=True)
    ]
    return {
        "model_version": 1, "data_until": "2019-11-21", "recommendation_id": "1-0123456789abcdef01234567",
        "source": "als", "items": rows,
    }  # fmt: skip


if __name__ == "__main__":
    contend(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
