"""Answers ready to be sent: made in API processes and in LitServe workers, by the same code."""

import secrets
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import orjson
from fastapi import Response
from pydantic import ValidationError

from movierec_serving.bundle import (
    MAX_ID_LENGTH,
    Bundle,
    Evidence,
    PublishedModel,
    Ranked,
    selection,
)
from movierec_serving.http.schemas import ASKED, NewUser, Options, Selection
from movierec_serving.metrics import FALLBACKS
from movierec_serving.model.holder import ModelHolder

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


def invalid(errors: Sequence[Any], *within: str) -> Answer:
    """Pydantic's errors without the input, which may be what JSON cannot carry back, as NaN is."""
    fields = []
    for error in errors:
        loc = [
            part if isinstance(part, int) else _printable(part) for part in (*within, *error["loc"])
        ]
        fields.append({"loc": loc, "msg": _printable(error["msg"]), "type": error["type"]})
    return answer({"detail": fields}, 422)


class Recommender:
    """One request's model, with what is left out of its lists.

    Raises:
        ModelUnavailableError: there is no model to answer from.
        UnknownGenreError: the options name a genre that the catalogue does not have.
    """

    def __init__(self, holder: ModelHolder, options: Selection) -> None:
        self.model: PublishedModel = holder.current()
        self._place = (
            options.n,
            options.offset,
            selection.left_out(
                self.model, options.genre, options.exclude, holder.blocked(self.model)
            ),
        )
        self._explain = isinstance(options, Options) and options.explain

    def one(self, asked: str | NewUser) -> Answer:
        return self.answer(self._lists([asked])[0])

    def many(self, users: Sequence[Any]) -> Answer:
        """One answer a user, in their order; what cannot be one gets its error, beside its
        neighbours.
        """
        asked: list[str | NewUser] = []
        errors: dict[int, str] = {}
        for index, user in enumerate(users):
            try:
                asked.append(user if isinstance(user, NewUser) else ASKED.validate_python(user))
            except ValidationError as error:
                errors[index] = _cause(error)
        lists = iter(self._lists(asked))
        return self.answer(
            {
                "results": [
                    {"index": index, "error": errors[index]} if index in errors else next(lists)
                    for index in range(len(users))
                ]
            }
        )

    def similar(self, movie: int) -> Answer:
        return self.answer(self._list(selection.similar(self.model, movie, *self._place), "als"))

    def popular(self) -> Answer:
        return self.answer(self._list(self._most_popular, "popular"))

    def answer(self, content: dict[str, Any]) -> Answer:
        headers = {"X-Model-Version": str(self.model.version), "Cache-Control": "private, no-store"}
        return answer({**stamp(self.model), **content}, headers=headers)

    def _lists(self, asked: Sequence[str | NewUser]) -> list[dict[str, Any]]:
        """One call of the kernel for the known users, one for the new ones; popular movies for
        everybody else.
        """
        model, bundle = self.model, self.model.bundle
        known = [user for user in asked if isinstance(user, str)]
        rows = {user: row for user in known if (row := bundle.user_row(user)) is not None}
        own = dict(
            zip(rows, selection.for_users(model, list(rows.values()), *self._place), strict=True)
        )
        rated = {
            i: _evidence(bundle, user) for i, user in enumerate(asked) if isinstance(user, NewUser)
        }
        rated = {i: evidence for i, evidence in rated.items() if len(evidence.rows)}
        new: dict[int, Ranked] = {}
        if rated:
            vectors = np.array([evidence.factors() for evidence in rated.values()])
            seen = [evidence.rows for evidence in rated.values()]
            new = dict(
                zip(rated, selection.for_vectors(model, vectors, seen, *self._place), strict=True)
            )
        lists = []
        for i, user in enumerate(asked):
            if i in new:
                made = self._list(new[i], "fold_in", rated[i])
            elif isinstance(user, NewUser):
                made = self._fallback("no_known_movie")
            elif user in own:
                evidence = Evidence.of_user(bundle, rows[user]) if self._explain else None
                made = self._list(own[user], "als", evidence, user_id=user)
            else:
                made = self._fallback("unknown_user", user_id=user)
            lists.append(made)
        return lists

    def _fallback(self, reason: str, **about: str) -> dict[str, Any]:
        FALLBACKS.labels(reason).inc()
        return self._list(self._most_popular, "popular", None, **about, fallback_reason=reason)

    @cached_property
    def _most_popular(self) -> Ranked:
        return selection.most_popular(self.model, *self._place)

    def _list(
        self, ranked: Ranked, source: str, evidence: Evidence | None = None, **about: str
    ) -> dict[str, Any]:
        card = self.model.card
        items = [{**card(row), "score": round(score, 6), "source": source} for row, score in ranked]
        if self._explain and evidence is not None and items and len(evidence.rows):
            shares = evidence.shares(np.array([row for row, _ in ranked]))
            for item, share in zip(items, shares.T, strict=True):
                most = [
                    i for i in np.argsort(-share, kind="stable")[:REASONS].tolist() if share[i] > 0
                ]
                reasons = ((int(evidence.rows[i]), float(share[i])) for i in most)
                item["because"] = [
                    {**card(movie), "share": round(part, 4)} for movie, part in reasons
                ]
        id_ = f"{self.model.version}-{secrets.token_hex(12)}"
        return {"recommendation_id": id_, **about, "source": source, "items": items}


def stamp(model: PublishedModel) -> dict[str, Any]:
    return {"model_version": model.version, "data_until": model.data_until}


def _evidence(bundle: Bundle, user: NewUser) -> Evidence:
    """Of the movies that the bundle knows: of others nothing can be learned. The last rating of a
    movie counts.
    """
    rows = bundle.item_rows([one["movie_id"] for one in user.ratings]).tolist()
    return Evidence.of_ratings(
        bundle,
        {row: one["rating"] for row, one in zip(rows, user.ratings, strict=True) if row >= 0},
    )


def _cause(error: ValidationError) -> str:
    """What is wrong with one user of many; the first error, within the ratings if there are any."""
    first = error.errors()[-1]
    where = ".".join(str(part) for part in first["loc"][1:])
    if not where:
        return f"a user is an id of 1 to {MAX_ID_LENGTH} characters without NUL, or ratings"
    return _printable(f"{where}: {first['msg']}")


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
