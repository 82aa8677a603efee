"""What a visitor has said about movies, of old and a moment ago: values that pages show."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from movierec_serving.bundle import PublishedModel
from movierec_serving.bundle.taste import liked, own_mean
from movierec_serving.events import KeptEvent
from movierec_serving.model.holder import ModelHolder


@dataclass(frozen=True)
class Opinions:
    """`stars` by movie id, what was said last at the end; `hidden` are on no list any more."""

    stars: Mapping[str, float] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()

    @classmethod
    def of(cls, holder: ModelHolder, model: PublishedModel, user: str) -> "Opinions":
        """What the model has learned of a user, and what they said since."""
        stars = _learned(model, user)
        lately = holder.lately
        said = lately.of(model, user) if lately is not None else None
        if lately is None or said is None:
            return cls(stars)
        kept = {
            movie: given
            for movie, given in stars.items()
            if movie not in said.taken_back and movie not in said.stars
        }
        dismissed = _dismissed(lately.log.store.of_user(user))
        given = {movie: stars for movie, stars in said.stars.items() if movie not in dismissed}
        return cls({**kept, **given}, frozenset(said.hidden))

    @property
    def movies(self) -> list[str]:
        """The movies that something was said about."""
        return [*self.stars, *(self.hidden - self.stars.keys())]

    def liked(self, model: PublishedModel) -> list[str]:
        """Movies that were praised, the latest first."""
        stars = np.fromiter(self.stars.values(), np.float64, len(self.stars))
        praised = liked(stars, own_mean(stars, model.bundle.family.mean_stars))
        return [movie for movie, good in zip(self.stars, praised, strict=True) if good][::-1]


def _dismissed(kept: Iterable[KeptEvent]) -> set[str]:
    """Movies that were dismissed, and not rated: training gives them stars, the user gave none."""
    last: dict[str, str] = {}
    for kept_event in kept:
        if not kept_event.removed and kept_event.event.type != "click":
            last[kept_event.event.movie_id] = kept_event.event.type
    return {movie for movie, type_ in last.items() if type_ == "dismiss"}


def _learned(model: PublishedModel, user: str) -> dict[str, float]:
    """Stars by movie id, the best last."""
    bundle = model.bundle
    row = model.user_row(user)
    if row is None:
        return {}
    rated = bundle.rated(row)
    items, stars = bundle.seen_items[rated], bundle.seen_ratings[rated]
    order = stars.argsort(kind="stable")
    return {
        bundle.item_id(item): star
        for item, star in zip(items[order].tolist(), stars[order].tolist(), strict=True)
    }
