"""Lists of movies: for a user, for many, for somebody new, similar ones and popular ones.

API processes and LitServe's workers answer by this same code. Which movies, and in which order, is
the bundle's `selection`.
"""

import secrets
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import ValidationError

from movierec_serving import metrics
from movierec_serving.bundle import (
    MAX_ID_LENGTH,
    Bundle,
    Evidence,
    PublishedModel,
    Ranked,
    selection,
)
from movierec_serving.http.replies import Reply, printable, reply
from movierec_serving.http.schemas import ASKED, NewUser, Options, Selection
from movierec_serving.model.holder import ModelHolder

REASONS = 3  # rated movies that explain one recommended


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

    def for_user(self, asked: str | NewUser) -> Reply:
        return self._stamped(self._lists([asked])[0])

    def for_users(self, users: Sequence[Any]) -> Reply:
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
        return self._stamped(
            {
                "results": [
                    {"index": index, "error": errors[index]} if index in errors else next(lists)
                    for index in range(len(users))
                ]
            }
        )

    def similar(self, movie: int) -> Reply:
        ranked = selection.similar(self.model, movie, *self._place)
        return self._stamped(self._list(ranked, self.model.bundle.family.name))

    def popular(self) -> Reply:
        return self._stamped(self._list(self._most_popular, "popular"))

    def _stamped(self, content: dict[str, Any]) -> Reply:
        return stamped(self.model, content)

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
            vectors = np.array([evidence.vector() for evidence in rated.values()])
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
                made = self._list(own[user], bundle.family.name, evidence, user_id=user)
            else:
                made = self._fallback("unknown_user", user_id=user)
            lists.append(made)
        return lists

    def _fallback(self, reason: str, **about: str) -> dict[str, Any]:
        metrics.count_fallback(reason)
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


def stamped(model: PublishedModel, content: dict[str, Any]) -> Reply:
    """A reply for one user alone, which names what it was made from."""
    headers = {"X-Model-Version": str(model.version), "Cache-Control": "private, no-store"}
    return reply({**stamp(model), **content}, headers=headers)


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
    return printable(f"{where}: {first['msg']}")
