"""A movie as a card shows it, and cards in rows: values for the templates."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from zlib import crc32

from movierec_serving.http.pages.rendering import texts

HUES = 8  # colours of covers in app.css
YEAR = re.compile(r"(.*\S)\s*\((\d{4})\)\s*", re.DOTALL)
ARTICLE = re.compile(r"(.*\S), (The|A|An|Le|La|Les|L'|Il|El|Der|Die|Das)", re.DOTALL)


@dataclass(frozen=True)
class Card:
    """One movie. `stars` are the visitor's own, `why` is a sentence or nothing."""

    movie_id: str
    title: str
    year: str
    genres: Sequence[str]
    why: str = ""
    stars: float | None = None
    hidden: bool = False

    @classmethod
    def of(cls, item: Mapping[str, Any], why: str = "") -> Self:
        """Make a card of a movie of an answer."""
        title, year = title_and_year(item["title"])
        shown = title or texts().card.untitled.format(id=item["movie_id"])
        return cls(item["movie_id"], shown, year, item["genres"], why)

    @property
    def hue(self) -> int:
        """The colour of the cover: that of its first genre."""
        return crc32("".join(self.genres[:1]).encode(errors="replace")) % HUES


@dataclass(frozen=True)
class Row:
    """Cards under a heading.

    Attributes:
        name: what the row is to the page, unique on it.
        list_id: the recommendation id that its ratings are sent with.
        note: a sentence below the heading, or nothing.
        more: the address of the whole list, or nothing.
        made_by: version, data day and arm.
    """

    name: str
    heading: str
    cards: Sequence[Card]
    list_id: str = ""
    note: str = ""
    more: str = ""
    made_by: str = ""


def title_and_year(title: str | None) -> tuple[str, str]:
    """`Title, The (1999)` as `The Title` and `1999`, which is empty where there is none."""
    parts = YEAR.fullmatch(title or "")
    name, year = (parts[1], parts[2]) if parts else ((title or "").strip(), "")
    moved = ARTICLE.fullmatch(name)
    if moved:
        name = f"{moved[2]}{'' if moved[2].endswith(chr(39)) else ' '}{moved[1]}"
    return name, year
