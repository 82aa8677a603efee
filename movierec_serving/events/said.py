"""What a user's events say together: a pure function of events and types."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from movierec_serving.events.event import KeptEvent
from movierec_serving.events.types import EventType


@dataclass(frozen=True)
class Said:
    """About movies, by their ids.

    Attributes:
        stars: what is newer than the model, in stars.
        hidden: what no list may have.
        taken_back: what the model has learned and the user took back since.
        made: what was made of this already, by its name; whoever makes something keeps it here.
    """

    stars: dict[str, float] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    taken_back: set[str] = field(default_factory=set)
    made: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __bool__(self) -> bool:
        return bool(self.stars or self.hidden or self.taken_back)


def what_was_said(
    kept: Iterable[KeptEvent],
    types: Mapping[str, EventType],
    learned: Callable[[KeptEvent], bool],
) -> Said:
    """Read one user's events in the order of their timestamps.

    A later opinion takes the place of an earlier one; what was only watched or passed never takes
    the place of an opinion.

    Args:
        learned: whether the model has been trained on an event.
    """
    kept = list(kept)
    said = Said()
    said.taken_back.update(
        kept_event.event.movie_id
        for kept_event in kept
        if kept_event.removed and learned(kept_event)
    )
    opinions: set[str] = set()
    for each in sorted(kept, key=lambda kept_event: kept_event.event.timestamp):
        event, kind = each.event, types.get(each.event.type)
        if each.removed or kind is None:
            continue
        movie = event.movie_id
        if kind.takes_back:
            said.stars.pop(movie, None)
            said.hidden.discard(movie)
            opinions.discard(movie)
            said.taken_back.add(movie)
            continue
        if kind.takes_off(event.value):
            said.hidden.add(movie)
        stars = kind.worth(event.value)
        if stars is None or (movie in opinions and not kind.explicit):
            continue
        if kind.explicit:
            opinions.add(movie)
        if not learned(each) or movie in said.taken_back:
            said.stars[movie] = stars
    return said
