"""Answers ready to be sent: made in API processes and in LitServe workers, by the same code."""

from typing import Any, NamedTuple

import orjson
from fastapi import Response

from movierec_serving.bundle import PublishedModel, popular
from movierec_serving.holder import ModelHolder, ModelUnavailableError


class Answer(NamedTuple):
    """Status, JSON and headers; plain values, which a worker's queue carries at little cost."""

    status: int
    body: bytes
    headers: dict[str, str]

    def response(self) -> Response:
        return Response(self.body, self.status, self.headers, "application/json")


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, orjson.dumps(content), headers or {})


def problem(status: int, detail: str) -> Answer:
    return answer({"detail": detail}, status, {"Retry-After": "1"} if status == 503 else None)


def recommendations(holder: ModelHolder, user_id: str, n: int) -> Answer:
    """The user's own list, else what is popular; 503 where there is no model."""
    try:
        model = holder.current()
    except ModelUnavailableError as error:
        return problem(503, str(error))
    content: dict[str, Any] = {
        "user_id": user_id,
        "model_version": model.version,
        "data_until": model.data_until,
        "source": "als",
    }
    ranked = model.recommend(user_id, n)
    if ranked is None:
        content |= {"source": "popular", "fallback_reason": "unknown_user"}
        bundle = model.bundle
        ranked = [(row, float(bundle.popularity[row])) for row in popular(bundle, n).tolist()]
    content["items"] = [_item(model, row, score, content["source"]) for row, score in ranked]
    headers = {"X-Model-Version": str(model.version), "Cache-Control": "private, no-store"}
    return answer(content, headers=headers)


def _item(model: PublishedModel, row: int, score: float, source: str) -> dict[str, Any]:
    return {
        "movie_id": model.bundle.item_id(row),
        "title": model.title(row),
        "genres": model.genres(row),
        "score": round(score, 6),
        "source": source,
    }
