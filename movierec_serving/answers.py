"""Answers ready to be sent: made in API processes and in LitServe workers, by the same code."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import orjson
from fastapi import Response
from numpy.typing import NDArray

from movierec_serving.bundle import (
    Evidence,
    PublishedModel,
    Ranked,
    for_users,
    for_vectors,
    left_out,
    most_popular,
    similar,
)
from movierec_serving.holder import ModelHolder

MAX_ID = 64  # characters
REASONS = 3  # rated movies that explain one recommended


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


def invalid(location: Sequence[str | int], message: str) -> Answer:
    return answer({"detail": [{"loc": location, "msg": message, "type": "value_error"}]}, 422)


@dataclass(frozen=True)
class Wish:
    """What every list can be asked for."""

    n: int = 10
    offset: int = 0
    genre: Sequence[str] = ()
    exclude: Sequence[str] = ()
    explain: bool = False


class Recommender:
    """One request's model, with what is left out of its lists.

    Raises:
        ModelUnavailableError: there is no model to answer from.
        UnknownGenreError: the wish names a genre that the catalogue does not have.
    """

    def __init__(self, holder: ModelHolder, wish: Wish) -> None:
        self.model: PublishedModel = holder.current()
        self.wish = wish
        self._out = left_out(self.model, wish.genre, wish.exclude, holder.blocked(self.model))

    def user(self, user_id: str) -> Answer:
        return self.answer(self._users([user_id])[0])

    def users(self, user_ids: Sequence[Any]) -> Answer:
        """One answer a user, in their order; an id that cannot be one gets its error, beside its neighbours."""
        good = [id_ for id_ in user_ids if id_problem(id_) is None]
        answers = iter(self._users(good))
        results = [
            next(answers) if (cause := id_problem(id_)) is None else {"index": index, "error": cause}
            for index, id_ in enumerate(user_ids)
        ]
        return self.answer({"results": results})

    def ratings(self, ratings: dict[str, float]) -> Answer:
        """For a user who is not known, by their stars for movies; of unknown movies nothing can be learned."""
        bundle = self.model.bundle
        stars = {row: value for id_, value in ratings.items() if (row := bundle.item_row(id_)) is not None}
        evidence = Evidence.of_ratings(bundle, stars)
        if not stars:
            ranked = most_popular(self.model, self.wish.n, self.wish.offset, self._out)
            return self.answer(self._list(ranked, "popular", fallback_reason="no_known_movie"))
        vectors = evidence.factors()[None]
        (ranked,) = for_vectors(
            self.model, vectors, [evidence.rows], self.wish.n, self.wish.offset, self._out
        )
        return self.answer(self._list(ranked, "fold_in", evidence))

    def similar(self, movie: int) -> Answer:
        return self.answer(
            self._list(similar(self.model, movie, self.wish.n, self.wish.offset, self._out), "als")
        )

    def popular(self) -> Answer:
        ranked = most_popular(self.model, self.wish.n, self.wish.offset, self._out)
        return self.answer(self._list(ranked, "popular"))

    def answer(self, content: dict[str, Any]) -> Answer:
        model = self.model
        headers = {"X-Model-Version": str(model.version), "Cache-Control": "private, no-store"}
        return answer({**stamp(model), **content}, headers=headers)

    def _users(self, user_ids: Sequence[str]) -> list[dict[str, Any]]:
        model, wish = self.model, self.wish
        rows = [model.bundle.user_row(id_) for id_ in user_ids]
        known = dict.fromkeys(row for row in rows if row is not None)
        lists = dict(zip(known, for_users(model, list(known), wish.n, wish.offset, self._out), strict=True))
        fallback = most_popular(model, wish.n, wish.offset, self._out) if None in rows else []
        return [
            self._list(fallback, "popular", user_id=user_id, fallback_reason="unknown_user")
            if row is None
            else self._list(
                lists[row],
                "als",
                Evidence.of_user(model.bundle, row) if wish.explain else None,
                user_id=user_id,
            )
            for user_id, row in zip(user_ids, rows, strict=True)
        ]

    def _list(
        self, ranked: Ranked, source: str, evidence: Evidence | None = None, **about: str
    ) -> dict[str, Any]:
        model = self.model
        items = [{**model.card(row), "score": round(score, 6), "source": source} for row, score in ranked]
        if self.wish.explain and evidence is not None and items and len(evidence.rows):
            shares = evidence.shares(np.array([row for row, _ in ranked]))
            for item, share in zip(items, shares.T, strict=True):
                item["because"] = self._because(evidence.rows, share)
        return {
            "recommendation_id": f"{model.version}-{secrets.token_hex(12)}",
            **about,
            "source": source,
            "items": items,
        }

    def _because(self, rows: NDArray[np.integer[Any]], shares: NDArray[np.float64]) -> list[dict[str, Any]]:
        most = [index for index in np.argsort(-shares, kind="stable")[:REASONS].tolist() if shares[index] > 0]
        return [
            {**self.model.card(int(rows[index])), "share": round(float(shares[index]), 4)} for index in most
        ]


def stamp(model: PublishedModel) -> dict[str, Any]:
    return {"model_version": model.version, "data_until": model.data_until}


def id_problem(id_: object) -> str | None:
    """Why this cannot be a user id; None if it can."""
    if (
        not isinstance(id_, str)
        or not 1 <= len(id_) <= MAX_ID
        or any(char == "\0" or "\ud800" <= char <= "\udfff" for char in id_)
    ):
        return f"a user id is text of 1 to {MAX_ID} characters without NUL"
    return None
