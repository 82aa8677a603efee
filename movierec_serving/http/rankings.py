"""What one model ranks for each user of a request. How a list is answered is `listing`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle import (
    Bundle,
    Evidence,
    OptionError,
    PublishedModel,
    Ranked,
    likeness,
    selection,
)
from movierec_serving.bundle.selection import Slice
from movierec_serving.http.recent import Recent
from movierec_serving.http.schemas.requests import NewUser
from movierec_serving.model.lately import Lately

LEAST_SCORE = 1e-6  # below it we look whether anything speaks for a list


@dataclass(slots=True)  # not frozen: that costs more, for each request
class Ranking:
    """Movies for one list, best first.

    Args:
        about: whom it is for, and why it is a fallback, where the answer says so.
        evidence: ratings that explain it.
        genres: of each movie, those that explain it, where nobody has rated it.
    """

    movies: Ranked
    source: str
    about: dict[str, str] = field(default_factory=dict)
    evidence: Evidence | None = None
    genres: Sequence[list[str]] = ()


class Rankings:
    """Rankings by one model, without what one request leaves out.

    Args:
        part: which places are asked for, and which movies are left out for everybody.
        explained: whether evidence is wanted also where the ranking does not need it.
    """

    def __init__(
        self, model: PublishedModel, part: Slice, lately: Lately | None, explained: bool
    ) -> None:
        self.model, self.part = model, part
        self._lately, self._explained = lately, explained

    def for_users(self, asked: Sequence[str | NewUser]) -> list[Ranking]:
        """One ranking a user, in their order, by two calls of the kernel at most."""
        if len(asked) == 1 and isinstance(alone := asked[0], str):
            return [self._for_one(alone)]
        ids = [user for user in asked if isinstance(user, str)]
        recent = self._recent(ids)
        known = self._known(user for user in ids if user not in recent)
        new = self._new({i: user for i, user in enumerate(asked) if isinstance(user, NewUser)})

        def ranking(index: int, user: str | NewUser) -> Ranking:
            if isinstance(user, NewUser):
                return self._for_new(new.get(index))
            if user in recent:
                return self._for_recent(user, recent[user])
            return self._for_known(user, known.get(user))

        return [ranking(index, user) for index, user in enumerate(asked)]

    def _for_one(self, user: str) -> Ranking:
        """As for many, without the way of putting them together, which costs a tenth of a plain
        answer.
        """
        said = self._lately.of(self.model, user) if self._lately is not None else None
        if said is not None:
            return self._for_recent(user, Recent.of(self.model, user, said))
        if (row := self.model.user_row(user)) is None:
            return self._for_known(user, None)
        return self._for_known(user, (row, selection.for_users(self.model, [row], self.part)[0]))

    def from_first(self) -> "Rankings":
        """These rankings from the first place to the last that is asked for."""
        part = self.part._replace(n=self.part.end, offset=0)
        return Rankings(self.model, part, self._lately, self._explained)

    def popular_for(self, user: str) -> Ranking:
        """What an arm without a model answers."""
        return Ranking(self.without_seen(user).most_popular, "popular", {"user_id": user})

    def without_seen(self, user: str) -> "Rankings":
        """These rankings, without what this user has seen."""
        row, recent = self.model.user_row(user), self._recent([user]).get(user)
        if recent is None and row is None:
            return self
        seen = recent.seen if recent is not None else self.model.bundle.seen(row or 0)
        part = selection.without(self.model, self.part, seen)
        return Rankings(self.model, part, self._lately, self._explained)

    def fallback(
        self, reason: str, about: Mapping[str, str], movies: Ranked | None = None
    ) -> Ranking:
        """Movies that no model ranked, the most popular ones unless named, with the reason."""
        ranked = self.most_popular if movies is None else movies
        return Ranking(ranked, "popular", {**about, "fallback_reason": reason})

    @cached_property
    def most_popular(self) -> Ranked:
        return selection.most_popular(self.model, self.part)

    def unrated_for(self, user: str) -> Ranking:
        """Movies that nobody has rated, by the user's taste; by everybody's for somebody unknown.

        Raises:
            OptionError: the model's family has no vectors for them.
        """
        if (unrated := self.model.unrated) is None:
            family = self.model.bundle.family.name
            raise OptionError("by", f"a model of {family} knows no taste for unrated movies")
        about, vector = {"user_id": user}, self._vector(user)
        if vector is None:
            about["fallback_reason"], vector = "unknown_user", unrated.everybody
        movies = likeness.unrated(self.model, vector, self.part)
        genres = [unrated.genres_for(row, vector) for row, _ in movies]
        return Ranking(movies, "content", about, genres=genres)

    def _vector(self, user: str) -> NDArray[np.float32] | None:
        """(F,) of a user by what they did so far; None for one of whom nothing is known."""
        bundle, recent = self.model.bundle, self._recent([user]).get(user)
        if recent is not None and recent.evidence.usable:
            return recent.evidence.vector()
        row = self.model.user_row(user)
        return None if row is None else bundle.user_vectors([row])[0]

    def _recent(self, users: Iterable[str]) -> dict[str, Recent]:
        """What users did that the model does not know; those who did nothing are left out."""
        if self._lately is None:
            return {}
        said = {user: self._lately.of(self.model, user) for user in users}
        return {
            user: Recent.of(self.model, user, its) for user, its in said.items() if its is not None
        }

    def _known(self, users: Iterable[str]) -> dict[str, tuple[int, Ranked]]:
        """Row and ranking of each user whom the model knows."""
        rows = {user: self.model.user_row(user) for user in users}
        known = {user: row for user, row in rows.items() if row is not None}
        rankings = selection.for_users(self.model, list(known.values()), self.part)
        return {
            user: (row, ranked) for (user, row), ranked in zip(known.items(), rankings, strict=True)
        }

    def _new(self, users: Mapping[int, NewUser]) -> dict[int, tuple[Evidence, Ranked]]:
        """Evidence and ranking of each who rated a movie that the model knows."""
        rated = {index: _evidence(self.model.bundle, user) for index, user in users.items()}
        rated = {index: evidence for index, evidence in rated.items() if len(evidence.rows)}
        if not rated:
            return {}
        seen = [evidence.rows for evidence in rated.values()]
        rankings = selection.for_new(self.model, list(rated.values()), seen, self.part)
        return {
            index: (evidence, ranked)
            for (index, evidence), ranked in zip(rated.items(), rankings, strict=True)
        }

    def _for_recent(self, user: str, recent: Recent) -> Ranking:
        """Rank for a user by what the model knows of them and what they did since."""
        evidence, about = recent.evidence, {"user_id": user}
        if evidence.usable:
            return Ranking(self._folded_in(recent), "fold_in", about, evidence)
        part = selection.without(self.model, self.part, recent.seen)
        if len(evidence.rows):
            return self._away_from_disliked(evidence, part, about)
        reason = "unknown_user" if recent.row is None else "no_usable_rating"
        return self.fallback(reason, about, selection.most_popular(self.model, part))

    def _folded_in(self, recent: Recent) -> Ranked:
        """Rank for a user who did something; kept where nothing else is left out."""
        place = self.part.n, self.part.offset
        plain = self.part.left_out is None
        if plain and place in recent.lists:
            return recent.lists[place]
        evidence, seen = [recent.evidence], [recent.seen_items]
        (ranked,) = selection.for_new(self.model, evidence, seen, self.part)
        if plain:
            recent.lists[place] = ranked
        return ranked

    def _for_known(self, user: str, known: tuple[int, Ranked] | None) -> Ranking:
        about = {"user_id": user}
        if known is None:
            return self.fallback("unknown_user", about)
        row, ranked = known
        bundle = self.model.bundle
        unsure = bool(ranked) and ranked[0][1] <= LEAST_SCORE
        evidence = Evidence.of_user(bundle, row) if self._explained or unsure else None
        if unsure and evidence is not None and not evidence.usable:
            return self._away_from_disliked(evidence, self.part, about)
        return Ranking(ranked, bundle.family.name, about, evidence)

    def _for_new(self, new: tuple[Evidence, Ranked] | None) -> Ranking:
        if new is None:
            return self.fallback("no_known_movie", {})
        evidence, ranked = new
        if not evidence.usable:
            return self._away_from_disliked(evidence, self.part, {})
        return Ranking(ranked, "fold_in", {}, evidence)

    def _away_from_disliked(
        self, evidence: Evidence, part: Slice, about: dict[str, str]
    ) -> Ranking:
        """Popular movies for somebody for whom no rating speaks, unlike what they disliked."""
        disliked = evidence.disliked
        reason = "no_liked_movie" if len(disliked) else "no_usable_rating"
        movies = likeness.away_from(self.model, evidence.rows, disliked, part)
        return self.fallback(reason, about, movies)


def _evidence(bundle: Bundle, user: NewUser) -> Evidence:
    """Of the movies that the bundle knows: of others nothing can be learned. The last rating of a
    movie counts.
    """
    rows = bundle.item_rows([rating["movie_id"] for rating in user.ratings]).tolist()
    known = zip(rows, user.ratings, strict=True)
    return Evidence.of_ratings(bundle, {row: rating["rating"] for row, rating in known if row >= 0})
