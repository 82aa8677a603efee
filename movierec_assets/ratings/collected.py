"""Events as ratings of a chunk: what each is worth in stars, if anything.

Where they are kept is the store's business.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from movierec_assets.ratings.chunks import COLUMNS
from movierec_assets.ratings.ids import NULLS
from movierec_assets.ratings.schema import CONTROL_CHARACTERS
from movierec_serving.events import EventType, KeptEvent

DECLARATION = """\
# What users did, as the endpoint kept it: one file a day, made by the asset collected_events.
other_columns = "ignored"
"""
_CONTROL = re.compile(CONTROL_CHARACTERS)


@dataclass(frozen=True)
class Collected:
    """A day's chunk of events.

    Attributes:
        content: CSV with the columns of ratings and `event_id`.
        rows: ratings in it.
        left_out: how many of the day's events are not in it, by the reason.
        types: how many of the day's events there are, by type.
    """

    content: bytes
    rows: int
    left_out: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)


def chunk_of(kept: Iterable[KeptEvent], day: str, types: Mapping[str, EventType]) -> Collected:
    """Make the chunk of a day (ISO).

    What a user took back since is not in it, nor what was only watched or passed after an opinion
    on the same movie: of two ratings the last one counts, and an opinion must not give way.

    Args:
        kept: all events of the users who have some in the chunk, grouped by user.
    """
    left_out: Counter[str] = Counter()
    count: Counter[str] = Counter()
    rows = []
    for _, of_user in groupby(kept, lambda kept_event: kept_event.event.user_id):
        opinions: set[str] = set()
        theirs: list[tuple[KeptEvent, float]] = []
        for each in sorted(of_user, key=lambda kept_event: kept_event.event.timestamp):
            mine = each.delivery == day
            reason, stars = _judge(each, types, opinions)
            if reason == TAKES_BACK:
                before = len(theirs)
                theirs = [(k, s) for k, s in theirs if k.event.movie_id != each.event.movie_id]
                left_out["taken back"] += before - len(theirs)
            if mine:
                count[each.event.type] += 1
                if stars is None:
                    left_out[reason] += 1
                else:
                    theirs.append((each, stars))
        rows += theirs
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, "event_id"))
    for kept_event, stars in rows:
        event = kept_event.event
        writer.writerow((event.user_id, event.movie_id, stars, event.timestamp, event.event_id))
    return Collected(text.getvalue().encode(), len(rows), left_out, count)


TAKES_BACK = "takes back what was said before"


def _judge(
    kept: KeptEvent, types: Mapping[str, EventType], opinions: set[str]
) -> tuple[str, float | None]:
    """Why an event is not in a chunk, or the stars that it is worth; opinions are kept in mind."""
    event, kind = kept.event, types.get(kept.event.type)
    if kept.removed:
        return "taken back", None
    if kind is None:
        return "of a type that is not declared any more", None
    if kind.takes_back:
        opinions.discard(event.movie_id)
        return TAKES_BACK, None
    stars = kind.worth(event.value)
    if stars is None:
        return "worth nothing in training", None
    if any(id_ in NULLS or _CONTROL.search(id_) for id_ in (event.user_id, event.movie_id)):
        return "an id that no rating may have", None
    if kind.explicit:
        opinions.add(event.movie_id)
    elif event.movie_id in opinions:
        return "after an opinion on the same movie", None
    return "", stars
