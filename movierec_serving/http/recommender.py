"""Answers with lists: for a user, for many, for somebody new, similar, popular and latest movies.

API processes and LitServe's workers answer by this same code. It decides by which version and for
which arm; what is ranked is `rankings`, how a list looks is `listing`.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from movierec_serving import metrics
from movierec_serving.bundle import MAX_ID_LENGTH, PublishedModel, likeness, selection
from movierec_serving.bundle.filters import left_out
from movierec_serving.bundle.recency import SECONDS_A_DAY
from movierec_serving.bundle.selection import Slice
from movierec_serving.http.drafts import Drafts
from movierec_serving.http.listing import Listing, Record
from movierec_serving.http.paging import Place, place_of, question, token
from movierec_serving.http.rankings import Ranking, Rankings
from movierec_serving.http.replies import Reply, printable, reply
from movierec_serving.http.schemas.requests import (
    ASKED,
    MAX_OFFSET,
    Listed,
    NewUser,
    Options,
    PagedOptions,
    Selection,
)
from movierec_serving.model.arms import InArm
from movierec_serving.model.holder import ModelHolder


class Recommender:
    """One request's model, with what is left out of its lists.

    Args:
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
        self._holder, self._options, self._asked, self._place = holder, options, asked, place
        self._explained = isinstance(options, Options) and options.explain
        self._record = Record(holder.shown) if options.shown and holder.shown is not None else None
        self._about: dict[str, str] = {}
        self.model = holder.at(place.version) if place else holder.current()
        self._listing = self._listing_by(self.model)

    @classmethod
    def of_page(
        cls,
        holder: ModelHolder,
        path: str,
        options: PagedOptions | Listed,
        last: int | None = MAX_OFFSET,
    ) -> "Recommender":
        """Make one for the page of `path` that the options ask for; `last` as of `place_of`."""
        asked = question(path, options)
        return cls(holder, options, asked, place_of(options.page, asked, last))

    def without_seen(self, user_id: str | None) -> "Recommender":
        """Leave out what a user has seen, if one is asked for."""
        if user_id is not None:
            self._about = {"user_id": user_id}
            rankings = self._listing.rankings.without_seen(user_id)
            self._listing = replace(self._listing, rankings=rankings)
        return self

    def for_user(self, asked: str | NewUser) -> Reply:
        listing = self._listing_in(self._arm_of(asked))
        return self._page(listing, listing.for_users([asked])[0])

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
        made = self._lists_in_arms(asked)
        metrics.count_lists([each.get("fallback_reason") for each in made])
        lists = iter(made)
        results = [
            {"index": index, "error": errors[index]} if index in errors else next(lists)
            for index in range(len(users))
        ]
        return self._stamped(self.model, {"results": results})

    def similar(self, movie: int) -> Reply:
        model, movies = self.model, likeness.similar(self.model, movie, self._part)
        rated = movie < len(model.bundle.item_ids)
        if rated or (unrated := model.unrated) is None:
            return self._answer(Ranking(movies, model.bundle.family.name, self._about))
        genres = [unrated.genres_for(movie, likeness.vector_of(model, row)) for row, _ in movies]
        return self._answer(Ranking(movies, "content", self._about, genres=genres))

    def popular(self, window: str) -> Reply:
        rankings = self._listing.rankings
        if window == "all":
            return self._answer(Ranking(rankings.most_popular, "popular", self._about))
        movies = selection.trending(self.model, window, self._part)
        if movies is None:
            return self._answer(rankings.fallback("no_times", self._about))
        return self._answer(Ranking(movies, "trending", self._about))

    def unrated_for(self, user: str) -> Reply:
        return self._answer(self._listing.rankings.unrated_for(user))

    def latest(self, by: str) -> Reply:
        movies = selection.latest(self.model, by, self._part)
        return self._answer(Ranking(movies, "latest", self._about))

    @property
    def _part(self) -> Slice:
        return self._listing.rankings.part

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
        if arm.both:
            return self._as_begun(arm, self._place.sides) if self._place.sides else None
        model = arm.model or self._holder.current()
        return arm if self._place.version == model.version else None

    def _as_begun(self, arm: InArm, versions: Sequence[int]) -> InArm:
        """Both arms, in the versions that the first page of a list was drafted from."""

        def begun(side: InArm, version: int) -> InArm:
            as_it_was = side.model is None or version in (0, side.model.version)
            return side if as_it_was else side.of(self._holder.at(version))

        return replace(arm, both=tuple(map(begun, arm.both, versions)))

    def _lists_in_arms(self, asked: Sequence[str | NewUser]) -> list[dict[str, Any]]:
        """One list a user, in their order, by each one's arm."""
        places: dict[InArm | None, list[int]] = {}
        for place, user in enumerate(asked):
            places.setdefault(self._arm_of(user), []).append(place)
        lists: dict[int, dict[str, Any]] = {}
        for arm, its in places.items():
            made = self._listing_in(arm).for_users([asked[place] for place in its])
            lists.update(zip(its, made, strict=True))
        return [lists[place] for place in range(len(asked))]

    def _listing_in(self, arm: InArm | None) -> Listing | Drafts:
        """What answers users of this arm, or of both."""
        if arm is None or not arm.both:
            return self._listing_of(arm)
        sides = [self._listing_of(side) for side in arm.both]
        return Drafts(self._listing_of(arm), sides, arm.salt)

    def _listing_of(self, arm: InArm | None) -> Listing:
        model = self.model if arm is None or arm.model is None else arm.model
        listing = self._listing if model is self.model else self._listing_by(model)
        return listing if arm is None else replace(listing, arm=arm)

    def _listing_by(self, model: PublishedModel) -> Listing:
        """What answers by this model, without what the options leave out."""
        blocked = self._holder.blocked(model)
        out = left_out(model.catalogue, self._options.wish, blocked, today())
        offset = self._place.offset if self._place else self._options.offset
        part = Slice(self._options.n, offset, out)
        rankings = Rankings(model, part, self._holder.lately, self._explained)
        explore = self._holder.explore
        return Listing(rankings, blocked, self._explained, self._record, explore=explore)

    def _answer(self, ranking: Ranking) -> Reply:
        return self._page(self._listing, self._listing.of(ranking))

    def _page(self, listing: Listing | Drafts, content: dict[str, Any]) -> Reply:
        """A list, with the token of the next page where there may be one."""
        model, part = listing.rankings.model, listing.rankings.part
        metrics.count_lists([content.get("fallback_reason")])
        if self._asked is not None and len(content["items"]) == part.n:
            sides = listing.versions if isinstance(listing, Drafts) else ()
            content["next_page"] = token(Place(model.version, part.end, sides), self._asked)
        return self._stamped(model, content)

    def _stamped(self, model: PublishedModel, content: dict[str, Any]) -> Reply:
        if self._record is not None and self._holder.shown is not None:
            self._holder.shown.write(self._record.shown)
        return stamped(model, content)


def today() -> int:
    """The day (UTC) in days since 1970: movies are available on some days alone."""
    return int(time.time() // SECONDS_A_DAY)


def stamped(model: PublishedModel, content: dict[str, Any]) -> Reply:
    """A reply for one user alone, which names what it was made from."""
    headers = {"X-Model-Version": str(model.version), "Cache-Control": "private, no-store"}
    return reply({**stamp(model), **content}, headers=headers)


def stamp(model: PublishedModel) -> dict[str, Any]:
    return {"model_version": model.version, "data_until": model.data_until}


def _cause(error: ValidationError) -> str:
    """What is wrong with one user of many; the first error, within the ratings if there are any."""
    first = error.errors()[-1]
    where = ".".join(str(part) for part in first["loc"][1:])
    if not where:
        return f"a user is an id of 1 to {MAX_ID_LENGTH} characters without NUL, or ratings"
    return printable(f"{where}: {first['msg']}")
