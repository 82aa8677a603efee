"""A ranking as it is answered: with titles, reasons and an id, and the record of what was shown."""

import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from movierec_serving import metrics
from movierec_serving.bundle import Evidence, PublishedModel
from movierec_serving.bundle.exploration import drawn
from movierec_serving.bundle.thin import genres_behind
from movierec_serving.events.shown import Drafted, Explored, Impression, ShownLog
from movierec_serving.http.rankings import Ranking, Rankings
from movierec_serving.http.schemas.answers import FallbackReason
from movierec_serving.http.schemas.requests import NewUser
from movierec_serving.model.arms import InArm

Items = list[dict[str, Any]]  # movies as an answer has them
_movie_id = itemgetter("movie_id")
REASONS = 3  # liked movies that explain one recommended
for _reason in get_args(FallbackReason):
    metrics.FALLBACKS.labels(_reason)  # from 0 on, as Prometheus wants it


class Record:
    """What one request shows, until it is written; `began` is when the request did."""

    def __init__(self, log: ShownLog) -> None:
        self.began, self.log = time.perf_counter_ns(), log
        self.shown: list[Impression] = []


@dataclass(eq=False)  # not frozen: that costs more, for each request
class Listing:
    """Lists by one model, for users of one arm.

    Args:
        blocked: rows of the model's movies that no list and no reason may show.
        explained: whether each movie says which liked ones speak for it.
        record: what is shown is added to it; None: it is not kept.
        arm: the users', of the experiment under way.
        explore: share of the places that go to movies that nobody has rated; in no experiment.
    """

    rankings: Rankings
    blocked: NDArray[np.int64]
    explained: bool
    record: Record | None
    arm: InArm | None = None
    explore: float = 0.0

    def for_users(self, asked: Sequence[str | NewUser]) -> list[dict[str, Any]]:
        """One list a user, in their order."""
        return [self._explored(ranking) for ranking in self.ranked(asked)]

    def ranked(self, asked: Sequence[str | NewUser]) -> list[Ranking]:
        """One ranking a user, by the arm."""
        if self.arm is not None and self.arm.popular:
            return [self.rankings.popular_for(user) for user in asked if isinstance(user, str)]
        return self.rankings.for_users(asked)

    def of(self, ranking: Ranking) -> dict[str, Any]:
        return self.answered(self.items(ranking), ranking.source, ranking.about)

    def _explored(self, ranking: Ranking) -> dict[str, Any]:
        """A user's list, some places of which go to movies that nobody has rated; which ones
        follows from the list's id.
        """
        about, model = ranking.about, self.rankings.model
        usual = self.arm is None and "user_id" in about and "fallback_reason" not in about
        if not (self.explore and usual and self.record is not None) or model.unrated is None:
            return self.of(ranking)
        user, token = about["user_id"], secrets.token_hex(12)
        if not self.record.log.keeps(user):
            return self.of(ranking)
        items = self.items(ranking)
        places = drawn(token, self.explore, len(items))
        new = self.items(self.rankings.without_seen(user).unrated_for(user)) if places else []
        places = places[: len(new)]
        for place, item in zip(places, new, strict=False):
            items[place] = item
        explored: Explored = {"share": self.explore, "places": [place + 1 for place in places]}
        return self.answered(items, ranking.source, about, token=token, explored=explored)

    def items(self, ranking: Ranking) -> Items:
        """The movies of a ranking as an answer has them."""
        items = cards(self.rankings.model, ranking.movies, ranking.source)
        evidence = ranking.evidence
        if self.explained and evidence is not None and items and len(evidence.rows):
            rows = np.array([row for row, _ in ranking.movies])
            behind = genres_behind(self.rankings.model.unrated, evidence, rows)
            for item, share, genres in zip(items, evidence.shares(rows).T, behind, strict=True):
                item["because"] = self._reasons(evidence, share)
                if genres:
                    item["because_of_genres"] = genres
        for item, genres in zip(items, ranking.genres, strict=False):
            item["because_of_genres"] = genres
        return items

    def answered(
        self,
        items: Items,
        source: str,
        about: dict[str, str],
        drafted: Sequence[Drafted] = (),
        token: str | None = None,
        explored: Explored | None = None,
    ) -> dict[str, Any]:
        """A list of these movies, which is written down.

        Args:
            drafted: what each arm gave to it, where it is of two.
            token: of the list's id; None: a new one.
            explored: which places went to movies that nobody has rated.
        """
        if not items:
            about = {"fallback_reason": "nothing_left", **about}
        id_ = f"{self.rankings.model.version}-{token or secrets.token_hex(12)}"
        if self.record is not None:
            shown = self._impression(self.record, id_, source, items, about)
            if drafted:
                shown["drafted"] = list(drafted)
            if explored is not None:
                shown["explored"] = explored
            self.record.shown.append(shown)
        return {
            "recommendation_id": id_,
            **about,
            **(self.arm.named if self.arm else {}),
            "source": source,
            "items": items,
        }

    def _impression(
        self,
        record: Record,
        id_: str,
        source: str,
        items: Items,
        about: dict[str, str],
    ) -> Impression:
        """What is kept of a list that somebody is shown."""
        version, user = self.rankings.model.version, about.get("user_id")
        shown = kept(id_, version, source, items, milliseconds_since(record.began), user)
        if "fallback_reason" in about:
            shown["reason"] = about["fallback_reason"]
        if self.rankings.part.offset:
            shown["offset"] = self.rankings.part.offset
        if self.arm is not None:
            shown["arm"] = self.arm.name
            if self.arm.failed:
                shown["arm_failed"] = True
        return shown

    def _reasons(self, evidence: Evidence, share: NDArray[np.float64]) -> list[dict[str, Any]]:
        """The liked movies that added most to a score; (N,) shares, one a rated movie.

        None that no list may show.
        """
        gone = self.rankings.model.catalogue.withdrawn
        hidden = np.isin(evidence.rows, self.blocked)
        hidden |= False if gone is None else gone[evidence.rows]
        share = np.where(evidence.liked & ~hidden, share, 0.0)
        largest = np.argsort(-share, kind="stable")[:REASONS].tolist()
        return [
            {**self.rankings.model.card(int(evidence.rows[i])), "share": round(float(share[i]), 4)}
            for i in largest
            if share[i] > 0
        ]


def cards(model: PublishedModel, movies: Iterable[tuple[int, float]], source: str) -> Items:
    """Movies as an answer has them."""
    card = model.card
    # `round` would take half of the time of a whole list.
    return [
        {**card(row), "score": (score * 1e6 + 0.5) // 1 / 1e6, "source": source}
        for row, score in movies
    ]


def kept(
    id_: str, version: int, source: str, items: Items, ms: float, user: str | None
) -> Impression:
    """What is written down of every list that somebody is shown."""
    shown: Impression = {
        "recommendation_id": id_,
        "at": time.time_ns() // 1_000_000 / 1000,
        "version": version,
        "source": source,
        "movies": list(map(_movie_id, items)),
        "ms": ms,
    }
    if user is not None:
        shown["user_id"] = user
    return shown


def milliseconds_since(began: int) -> float:
    """To three digits; `began` is of `perf_counter_ns`."""
    return (time.perf_counter_ns() - began) // 1000 / 1000
