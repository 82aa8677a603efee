"""Lists of movies: for a user, for many, for somebody new, similar, popular and latest ones.

API processes and LitServe's workers answer by this same code. Which movies, and in which order, is
the bundle's `selection`.
"""

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
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
from movierec_serving.bundle.filters import left_out
from movierec_serving.bundle.recency import SECONDS_A_DAY
from movierec_serving.bundle.selection import Slice
from movierec_serving.events.shown import Impression
from movierec_serving.http.paging import Place, token
from movierec_serving.http.recent import Recent
from movierec_serving.http.replies import Reply, printable, reply
from movierec_serving.http.schemas.requests import ASKED, NewUser, Options, Selection
from movierec_serving.model.arms import InArm
from movierec_serving.model.holder import ModelHolder

REASONS = 3  # liked movies that explain one recommended
LEAST_SCORE = 1e-6  # below it we look whether anything speaks for a list


class Recommender:
    """One request's model, with what is left out of its lists.

    Args:
        arm: the user's, of the experiment under way.
        asked: the question, where its answer has pages.
        place: where this page begins, and in which version; else `options` say so of the current
            one.

    Raises:
        ModelUnavailableError: there is no model to answer from.
        PageGoneError: the store no longer has the page's version.
        OptionError: the options name a genre, column or value that the catalogue does not have.
    """

    def __init__(
        self,
        holder: ModelHolder,
        options: Selection,
        asked: str | None = None,
        place: Place | None = None,
    ) -> None:
        self._holder, self._options = holder, options
        self._asked, self._place, self._about = asked, place, dict[str, str]()
        self._answer_from(holder.at(place.version) if place else holder.current(), None)
        self._explain = isinstance(options, Options) and options.explain
        self._log = holder.shown if options.shown else None
        self._shown: list[Impression] = []
        self._began = time.perf_counter()
        self._lately = holder.lately

    def _answer_from(self, model: PublishedModel, arm: InArm | None) -> None:
        """Make lists by this model, for users of this arm."""
        self.model, self._arm = model, arm
        self._blocked = self._holder.blocked(model)
        out = left_out(model.catalogue, self._options.wish, self._blocked, today())
        offset = self._place.offset if self._place else self._options.offset
        self._part = Slice(self._options.n, offset, out)
        self.__dict__.pop("_most_popular", None)  # of another model

    def without_seen(self, user_id: str | None) -> "Recommender":
        """Leave out what a user has seen, if one is asked for."""
        if user_id is not None:
            self._about = {"user_id": user_id}
            row, recent = self.model.bundle.user_row(user_id), self._of_recent([user_id])
            if recent or row is not None:
                seen = recent[user_id].seen if recent else self.model.bundle.seen(row or 0)
                self._part = selection.without(self.model, self._part, seen)
        return self

    def for_user(self, asked: str | NewUser) -> Reply:
        self._turn_to(self._arm_of(asked))
        return self._page(self._lists([asked])[0])

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
        lists = iter(self._lists_in_arms(asked))
        return self._stamped(
            {
                "results": [
                    {"index": index, "error": errors[index]} if index in errors else next(lists)
                    for index in range(len(users))
                ]
            }
        )

    def _arm_of(self, asked: str | NewUser) -> InArm | None:
        """The user's arm of the experiment under way, if there is one.

        A list that nobody is shown is no part of one, somebody without an id is in none, and a page
        of another version's list is read on as it began.
        """
        if not self._options.shown or not isinstance(asked, str):
            return None
        arm = self._holder.arms.of(asked)
        if arm is None or self._place is None:
            return arm
        model = arm.model or self._holder.current()
        return arm if self._place.version == model.version else None

    def _turn_to(self, arm: InArm | None) -> None:
        """Answer for users of this arm from now on."""
        if arm is None:
            return
        model = arm.model or self._holder.current()
        if model is self.model:
            self._arm = arm  # what is left out is the same
        else:
            self._answer_from(model, arm)

    def _lists_in_arms(self, asked: Sequence[str | NewUser]) -> list[dict[str, Any]]:
        """One list a user, in their order, by each one's arm."""
        places: dict[InArm | None, list[int]] = {}
        for place, user in enumerate(asked):
            places.setdefault(self._arm_of(user), []).append(place)
        found: dict[int, dict[str, Any]] = {}
        for arm, some in places.items():
            own = copy(self)  # `_shown` is the same list
            own._turn_to(arm)
            found.update(zip(some, own._lists([asked[place] for place in some]), strict=True))
        return [found[place] for place in range(len(asked))]

    def similar(self, movie: int) -> Reply:
        ranked = selection.similar(self.model, movie, self._part)
        return self._page(self._list(ranked, self.model.bundle.family.name, None, **self._about))

    def popular(self, window: str) -> Reply:
        if window == "all":
            return self._page(self._list(self._most_popular, "popular", None, **self._about))
        ranked = selection.trending(self.model, window, self._part)
        if ranked is None:
            return self._page(self._fallback("no_times", **self._about))
        return self._page(self._list(ranked, "trending", None, **self._about))

    def latest(self, by: str) -> Reply:
        ranked = selection.latest(self.model, by, self._part)
        return self._page(self._list(ranked, "latest", None, **self._about))

    def _page(self, content: dict[str, Any]) -> Reply:
        """A list, with the token of the next page where there may be one."""
        if self._asked is not None and len(content["items"]) == self._part.n:
            place = Place(self.model.version, self._part.end)
            content["next_page"] = token(place, self._asked)
        return self._stamped(content)

    def _stamped(self, content: dict[str, Any]) -> Reply:
        if self._log is not None:
            self._log.write(self._shown)
        return stamped(self.model, content)

    def _lists(self, asked: Sequence[str | NewUser]) -> list[dict[str, Any]]:
        """One list a user, in their order, by two calls of the kernel at most."""
        if self._arm is not None and self._arm.popular:
            return [self._popular_for(user) for user in asked if isinstance(user, str)]
        ids = [user for user in asked if isinstance(user, str)]
        lately = self._of_recent(ids)
        known = self._of_known(user for user in ids if user not in lately)
        new = self._of_new({i: user for i, user in enumerate(asked) if isinstance(user, NewUser)})

        def listed(index: int, user: str | NewUser) -> dict[str, Any]:
            if isinstance(user, NewUser):
                return self._list_of_new(new.get(index))
            if user in lately:
                return self._list_of_recent(user, lately[user])
            return self._list_of_known(user, known.get(user))

        return [listed(index, user) for index, user in enumerate(asked)]

    def _popular_for(self, user: str) -> dict[str, Any]:
        """What an arm without a model answers: popular movies, without what the user has seen."""
        row, recent = self.model.bundle.user_row(user), self._of_recent([user]).get(user)
        ranked = self._most_popular
        if recent is not None or row is not None:
            seen = recent.seen if recent is not None else self.model.bundle.seen(row or 0)
            part = selection.without(self.model, self._part, seen)
            ranked = selection.most_popular(self.model, part)
        return self._list(ranked, "popular", user_id=user)

    def _of_recent(self, users: Iterable[str]) -> dict[str, Recent]:
        """Those who did something that the model does not know."""
        if self._lately is None:
            return {}
        said = {user: self._lately.of(self.model, user) for user in users}
        return {
            user: Recent.of(self.model, user, its) for user, its in said.items() if its is not None
        }

    def _of_known(self, users: Iterable[str]) -> dict[str, tuple[int, Ranked]]:
        """Row and ranking of each user whom the model knows."""
        rows = {user: self.model.bundle.user_row(user) for user in users}
        known = {user: row for user, row in rows.items() if row is not None}
        rankings = selection.for_users(self.model, list(known.values()), self._part)
        return {
            user: (row, ranked) for (user, row), ranked in zip(known.items(), rankings, strict=True)
        }

    def _of_new(self, users: Mapping[int, NewUser]) -> dict[int, tuple[Evidence, Ranked]]:
        """Evidence and ranking of each who rated a movie that the model knows."""
        rated = {index: _evidence(self.model.bundle, user) for index, user in users.items()}
        rated = {index: evidence for index, evidence in rated.items() if len(evidence.rows)}
        if not rated:
            return {}
        seen = [evidence.rows for evidence in rated.values()]
        rankings = selection.for_new(self.model, list(rated.values()), seen, self._part)
        return {
            index: (evidence, ranked)
            for (index, evidence), ranked in zip(rated.items(), rankings, strict=True)
        }

    def _list_of_recent(self, user: str, recent: Recent) -> dict[str, Any]:
        """Folded in from what the model knows of them and what they did since."""
        evidence = recent.evidence
        if not evidence.usable:
            part = selection.without(self.model, self._part, recent.seen)
            if len(evidence.rows):
                return self._away_from_disliked(evidence, part, user_id=user)
            reason = "unknown_user" if recent.row is None else "no_usable_rating"
            metrics.count_fallback(reason)
            ranked = selection.most_popular(self.model, part)
            return self._list(ranked, "popular", user_id=user, fallback_reason=reason)
        return self._list(self._folded_in(recent), "fold_in", evidence, user_id=user)

    def _folded_in(self, recent: Recent) -> Ranked:
        """Made once of what a user did, where nothing else is left out."""
        place = self._part.n, self._part.offset
        plain = self._part.left_out is None
        if plain and place in recent.lists:
            return recent.lists[place]
        evidence, seen = [recent.evidence], [recent.seen_items]
        (ranked,) = selection.for_new(self.model, evidence, seen, self._part)
        if plain:
            recent.lists[place] = ranked
        return ranked

    def _list_of_known(self, user: str, known: tuple[int, Ranked] | None) -> dict[str, Any]:
        if known is None:
            return self._fallback("unknown_user", user_id=user)
        row, ranked = known
        bundle = self.model.bundle
        unsure = bool(ranked) and ranked[0][1] <= LEAST_SCORE
        evidence = Evidence.of_user(bundle, row) if self._explain or unsure else None
        if unsure and evidence is not None and not evidence.usable:
            return self._away_from_disliked(evidence, self._part, user_id=user)
        return self._list(ranked, bundle.family.name, evidence, user_id=user)

    def _list_of_new(self, new: tuple[Evidence, Ranked] | None) -> dict[str, Any]:
        if new is None:
            return self._fallback("no_known_movie")
        evidence, ranked = new
        if not evidence.usable:
            return self._away_from_disliked(evidence, self._part)
        return self._list(ranked, "fold_in", evidence)

    def _away_from_disliked(self, evidence: Evidence, part: Slice, **about: str) -> dict[str, Any]:
        """Popular movies for somebody for whom no rating speaks, unlike what they disliked."""
        disliked = evidence.disliked
        reason = "no_liked_movie" if len(disliked) else "no_usable_rating"
        metrics.count_fallback(reason)
        ranked = selection.away_from(self.model, evidence.rows, disliked, part)
        return self._list(ranked, "popular", None, **about, fallback_reason=reason)

    def _fallback(self, reason: str, **about: str) -> dict[str, Any]:
        metrics.count_fallback(reason)
        return self._list(self._most_popular, "popular", None, **about, fallback_reason=reason)

    @cached_property
    def _most_popular(self) -> Ranked:
        return selection.most_popular(self.model, self._part)

    def _list(
        self, ranked: Ranked, source: str, evidence: Evidence | None = None, **about: str
    ) -> dict[str, Any]:
        card = self.model.card
        items = [{**card(row), "score": round(score, 6), "source": source} for row, score in ranked]
        if self._explain and evidence is not None and items and len(evidence.rows):
            shares = evidence.shares(np.array([row for row, _ in ranked]))
            for item, share in zip(items, shares.T, strict=True):
                item["because"] = self._reasons(evidence, share)
        if not items:
            about.setdefault("fallback_reason", "nothing_left")
        id_ = f"{self.model.version}-{secrets.token_hex(12)}"
        if self._log is not None:
            self._shown.append(self._impression(id_, source, items, about))
        return {
            "recommendation_id": id_,
            **about,
            **(self._arm.named if self._arm else {}),
            "source": source,
            "items": items,
        }

    def _impression(
        self, id_: str, source: str, items: list[dict[str, Any]], about: Mapping[str, str]
    ) -> Impression:
        """What is kept of a list that somebody is shown."""
        shown: Impression = {
            "recommendation_id": id_,
            "at": round(time.time(), 3),
            "version": self.model.version,
            "source": source,
            "movies": [item["movie_id"] for item in items],
            "ms": round(1000 * (time.perf_counter() - self._began), 3),
        }
        if "user_id" in about:
            shown["user_id"] = about["user_id"]
        if "fallback_reason" in about:
            shown["reason"] = about["fallback_reason"]
        if self._part.offset:
            shown["offset"] = self._part.offset
        if self._arm is not None:
            shown["arm"] = self._arm.name
            if self._arm.failed:
                shown["arm_failed"] = True
        return shown

    def _reasons(self, evidence: Evidence, share: NDArray[np.float64]) -> list[dict[str, Any]]:
        """The liked movies that added most to a score; (N,) shares, one a rated movie.

        None that no list may show.
        """
        gone = self.model.catalogue.withdrawn
        hidden = np.isin(evidence.rows, self._blocked)
        hidden |= False if gone is None else gone[evidence.rows]
        share = np.where(evidence.liked & ~hidden, share, 0.0)
        largest = np.argsort(-share, kind="stable")[:REASONS].tolist()
        return [
            {**self.model.card(int(evidence.rows[i])), "share": round(float(share[i]), 4)}
            for i in largest
            if share[i] > 0
        ]


def today() -> int:
    """The day (UTC) in days since 1970: movies are available on some days alone."""
    return int(time.time() // SECONDS_A_DAY)


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
    rows = bundle.item_rows([rating["movie_id"] for rating in user.ratings]).tolist()
    known = zip(rows, user.ratings, strict=True)
    return Evidence.of_ratings(bundle, {row: rating["rating"] for row, rating in known if row >= 0})


def _cause(error: ValidationError) -> str:
    """What is wrong with one user of many; the first error, within the ratings if there are any."""
    first = error.errors()[-1]
    where = ".".join(str(part) for part in first["loc"][1:])
    if not where:
        return f"a user is an id of 1 to {MAX_ID_LENGTH} characters without NUL, or ratings"
    return printable(f"{where}: {first['msg']}")
