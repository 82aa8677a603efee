"""What one visitor is shown: rows of movies, made of the answers that programs get, too."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from movierec_serving.bundle import TOP_N, questions
from movierec_serving.errors import PageError
from movierec_serving.http.pages import reasons
from movierec_serving.http.pages.cards import Card, Row, title_and_year
from movierec_serving.http.pages.opinions import Opinions
from movierec_serving.http.pages.rendering import texts, url
from movierec_serving.http.recommender import Recommender, today
from movierec_serving.http.replies import Reply
from movierec_serving.http.schemas.requests import Options, Selection
from movierec_serving.model.holder import ModelHolder

LONG, SHORT, PAGE = 12, 10, 24  # movies in the visitor's row, in another one, on a page of a genre
BECAUSE, GENRES = 2, 3  # rows of each kind
ENOUGH, ASKED = 5, 6  # answers of a new visitor; movies that are asked about at once


class Desk:
    """One request's look at the model for one visitor; no movie stands in two of its rows.

    Raises:
        ModelUnavailableError: there is no model to answer from.
    """

    def __init__(self, holder: ModelHolder, user: str) -> None:
        self._holder, self._model, self.user = holder, holder.current(), user
        self.opinions = Opinions.of(holder, self._model, user)
        self._taken = set(self.opinions.movies)

    def personal(self) -> list[Row]:
        """Rows that follow from what the visitor rated."""
        return [self.for_you(), *self._unrated(), *islice(self._because(), BECAUSE)]

    def common(self) -> list[Row]:
        """Rows that somebody without ratings sees, too; what the visitor rated is left out."""
        home = texts().home
        popular = _content(self._asking(SHORT).popular("30d"))
        heading = home.trending if popular["source"] == "trending" else home.popular
        trending = self._row("trending", heading, popular)
        latest = self._row("latest", home.latest, _content(self._asking(SHORT).latest("arrival")))
        return [trending, latest, *self._genres()]

    def for_you(self) -> Row:
        """The visitor's list, each movie with what speaks for it most."""
        home = texts().home
        recommender = self._recommender(_options(Options, LONG, explain=True))
        answer = _content(recommender.for_user(self.user))
        reason = answer.get("fallback_reason")
        note = ""
        if not answer["items"]:
            note = home.nothing
        elif reason:
            note = getattr(home, f"fallback_{reason}", home.fallback_other)
        return self._row("for-you", home.popular if reason else home.for_you, answer, note=note)

    def similar(self, row: int, n: int = SHORT) -> Row:
        """Movies that those like who like this one; by content for one that nobody has rated."""
        rated = row < len(self._model.bundle.item_ids)
        heading = texts().movie.similar if rated else texts().movie.similar_content
        self._taken.add(self._model.catalogue.movie_id(row))
        own = set(self._model.catalogue.genres(row))
        answer = _content(self._asking(n).similar(row))
        why = [reasons.common(own, item["genres"], rated) for item in answer["items"]]
        return self._row("similar", heading, answer, why=why)

    def genre(self, name: str, offset: int) -> Row:
        """A part of the visitor's list of one genre."""
        options = _options(Options, PAGE, offset=offset, genre=[name])
        return self._row("genre", name, _content(self._recommender(options).for_user(self.user)))

    def questions(self, skipped: Sequence[str]) -> list[Card]:
        """Movies whose rating would tell most about the visitor."""
        bundle = self._model.bundle
        said, out = (bundle.item_rows(ids) for ids in (self.opinions.movies, skipped))
        out = np.concatenate(
            [out[out >= 0], np.flatnonzero(self._hidden()[: len(bundle.item_ids)])]
        )
        rows = questions(bundle, said[said >= 0], out, ASKED)
        asked = [Card.of(self._model.card(row)) for row in rows]
        self._taken.update(card.movie_id for card in asked)
        return asked

    def movie(self, movie_id: str) -> dict[str, Any]:
        """A movie, why it is on the visitor's list, and movies like it.

        Raises:
            PageError: the model does not know it, or it was taken off.
        """
        row, ratings = self._model.catalogue.row(movie_id), self._model.bundle.popularity
        if row is None:
            raise PageError(404, "movie")
        if self._hidden()[row]:
            raise PageError(404, "blocked")
        rated = row < len(ratings)
        options = _options(Options, TOP_N, explain=True, shown=False)
        listed = _content(self._recommender(options).for_user(self.user))["items"]
        own = [item for item in listed if item["movie_id"] == movie_id]
        return {
            "card": self.card(movie_id),
            "people": int(ratings[row]) if rated else 0,
            "reasons": [reasons.reason(each) for item in own for each in item.get("because") or ()],
            "similar": self.similar(row, LONG),
        }

    def card(self, movie_id: str) -> Card:
        """A movie with what the visitor said about it; one that the model lost has only its id."""
        row = self._model.catalogue.row(movie_id)
        unknown = {"movie_id": movie_id, "title": None, "genres": ()}
        card = Card.of(unknown if row is None else self._model.card(row))
        opinions = self.opinions
        return replace(card, stars=opinions.stars.get(movie_id), hidden=movie_id in opinions.hidden)

    def rated(self, offset: int) -> list[Card]:
        """A part of what the visitor rated, the best first."""
        stars = self.opinions.stars
        best = sorted(stars, key=lambda movie: -stars[movie])
        return [self.card(movie) for movie in best[offset : offset + PAGE]]

    def search(self, query: str, n: int) -> list[Card]:
        """Movies with a part of their title, the most popular first; none for no query."""
        if not query.strip():
            return []
        catalogue, rows = self._model.catalogue, self._model.orders.everything
        titled = catalogue.titled(rows[~self._hidden()[rows]].tolist(), query)
        return [self.card(catalogue.movie_id(row)) for row in islice(titled, n)]

    def _hidden(self) -> NDArray[np.bool_]:
        """(C,) movies that are not available today, or were taken off."""
        hidden = self._model.catalogue.closed(today()).copy()
        hidden[self._holder.blocked(self._model)] = True
        return hidden

    def _unrated(self) -> Iterator[Row]:
        """Movies that nobody has rated, by the taste of somebody who liked something."""
        others = len(self._model.catalogue) - len(self._model.bundle.item_ids)
        if others and self._model.unrated is not None and self.opinions.liked(self._model):
            answer = _content(self._asking(SHORT).unrated_for(self.user))
            yield self._row("unrated", texts().home.unrated, answer)

    def _because(self) -> Iterator[Row]:
        """Rows of movies like those that were liked last."""
        for place, movie in enumerate(self.opinions.liked(self._model)):
            row = self._model.bundle.item_row(movie)
            if row is None:
                continue
            title, _ = title_and_year(self._model.catalogue.title(row))
            similar = self.similar(row)
            if similar.cards:
                heading = texts().home.because.format(title=title or movie)
                more = url("movie", id=movie)
                yield Row(f"because-{place}", heading, similar.cards, similar.list_id, more=more)

    def _genres(self) -> Iterator[Row]:
        """The genres that the visitor likes most, then those with the most ratings."""
        liked = Counter(
            genre
            for movie in self.opinions.liked(self._model)
            if (row := self._model.bundle.item_row(movie)) is not None
            for genre in self._model.catalogue.genres(row)
        )
        known, ratings = self._model.catalogue, self._model.bundle.popularity
        rated = ratings @ known.item_genres[: len(ratings)]
        common = [known.genre_names[place] for place in (-rated).argsort().tolist()]
        names = dict.fromkeys([*(name for name, _ in liked.most_common()), *common])
        for place, name in enumerate(islice(names, GENRES)):
            options = _options(Options, SHORT, genre=[name], exclude=list(self._taken))
            answer = _content(self._recommender(options).for_user(self.user))
            yield self._row(f"genre-{place}", name, answer, more=url("genre", name=name))

    def _asking(self, n: int) -> Recommender:
        return self._recommender(_options(Selection, n, exclude=list(self._taken)))

    def _recommender(self, options: Selection) -> Recommender:
        return Recommender(self._holder, options)

    def _row(
        self,
        name: str,
        heading: str,
        answer: Mapping[str, Any],
        *,
        note: str = "",
        more: str = "",
        why: Sequence[str] = (),
    ) -> Row:
        why = why or [reasons.because(item) for item in answer["items"]]
        cards = [Card.of(item, each) for item, each in zip(answer["items"], why, strict=True)]
        self._taken.update(card.movie_id for card in cards)
        return Row(
            name=name,
            heading=heading,
            cards=cards,
            list_id=answer["recommendation_id"],
            note=note,
            more=more,
            made_by=reasons.made_by(answer),
        )


def _options(kind: type[Selection], n: int, **more: Any) -> Any:
    """What is asked of the recommender; somebody may have rated more than a program may exclude."""
    return kind.model_construct(n=n, **more)


def _content(reply: Reply) -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(reply.body)
    return content
