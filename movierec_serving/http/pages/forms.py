"""What a page sends: fields of a form, checked."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl

from fastapi import Request

from movierec_serving.errors import PageError
from movierec_serving.http.forgery import from_here
from movierec_serving.http.pages.visitor import is_id

ACTS = ("rate", "dislike", "dismiss", "remove")
# A row that follows from ratings, another one beside such, a page without any.
PLACES = ("personal", "row", "page")
MAX_FIELDS = 200
Fields = list[tuple[str, str]]


async def fields(request: Request) -> Fields:
    """The form's fields: names with values.

    Raises:
        PageError: it was not sent by a page of this endpoint, or is no form.
    """
    if not from_here(request.headers):
        raise PageError(403, "forged")
    try:
        body = (await request.body()).decode()
        return parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise PageError(422, "wrong") from error


@dataclass(frozen=True)
class Act:
    """What somebody says about a movie.

    Attributes:
        kind: one of ACTS.
        stars: of `rate`.
        list_id: the recommendation id of the list where the movie stood, or nothing.
        place: one of PLACES.
        skipped: movies that were asked about and not rated.
    """

    movie_id: str
    kind: str
    stars: float | None
    list_id: str
    place: str
    skipped: tuple[str, ...]

    @classmethod
    def of(cls, form: Fields) -> Self:
        """Raises PageError for a field that is wrong, or stars that were not chosen."""
        values = {
            "act": "rate",
            "list": "",
            "place": "page",
            "movie": "",
            "stars": "",
            **dict(form),
        }
        kind, place, ids = values["act"], values["place"], [values["movie"]]
        skipped = tuple(value for name, value in form if name == "skipped")
        ids += [values["list"]] if values["list"] else []
        if kind not in ACTS or place not in PLACES or not all(map(is_id, [*ids, *skipped])):
            raise PageError(422, "wrong")
        stars = _stars(values["stars"]) if kind == "rate" else None
        return cls(values["movie"], kind, stars, values["list"], place, skipped)


def _stars(text: str) -> float:
    """Read stars, 0.5 to 5 in halves."""
    try:
        halves = float(text) * 2
    except ValueError:
        raise PageError(422, "wrong") from None
    if halves not in range(1, 11):
        raise PageError(422, "choose")
    return halves / 2
