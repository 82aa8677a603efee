"""The addresses of the lists and movies: each reads what was asked, and shows what the desk has."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from movierec_serving.errors import PageError
from movierec_serving.http.pages.desk import ENOUGH, PAGE, Desk
from movierec_serving.http.pages.problems import NOBODY
from movierec_serving.http.pages.rendering import render
from movierec_serving.http.pages.visitor import visitor
from movierec_serving.http.schemas.ids import Id
from movierec_serving.model.holder import ModelHolder

FOUND = 24  # movies of a search
MAX_OFFSET = 960
MAX_SKIPPED = 150  # movies that are remembered as not seen, the last ones; a form has 200 fields
Text = Annotated[str, Query(max_length=200)]
IdText = Annotated[Id, Query()]
Ids = Annotated[list[IdText], Query(max_length=200)]
Offset = Annotated[int, Query(ge=0, le=MAX_OFFSET)]


def add_lists(router: APIRouter, holder: ModelHolder) -> None:
    @router.get("")
    def get_home(request: Request, skipped: Ids = []) -> Response:  # noqa: B006 - never changed
        user = visitor(request)
        if user is None:
            return render("enter.html", user=None)
        desk = Desk(holder, user)
        return render("home.html", user=user, **personal(desk, skipped), common=desk.common())

    def desk_of(request: Request) -> Desk:
        if (user := visitor(request)) is None:
            raise PageError(401, NOBODY)
        return Desk(holder, user)

    At = Annotated[Desk, Depends(desk_of)]  # noqa: N806 - a type

    @router.get("/movie")
    def get_movie(desk: At, id: IdText) -> Response:  # noqa: A002 - the name in the address
        return render("movie.html", user=desk.user, **desk.movie(id))

    @router.get("/genre")
    def get_genre(desk: At, name: Text, offset: Offset = 0) -> Response:
        row = desk.genre(name, offset)
        more = len(row.cards) == PAGE
        return render("genre.html", user=desk.user, row=row, **_pages(offset, more, name=name))

    @router.get("/search")
    def get_search(request: Request, desk: At, query: Text = "") -> Response:
        part = request.headers.get("hx-request")
        template = "found.html" if part else "search.html"
        return render(template, user=desk.user, query=query, cards=desk.search(query, FOUND))

    @router.get("/rated")
    def get_rated(desk: At, offset: Offset = 0) -> Response:
        count = len(desk.opinions.stars)
        pages = _pages(offset, count > offset + PAGE)
        return render("rated.html", user=desk.user, cards=desk.rated(offset), count=count, **pages)


def personal(desk: Desk, skipped: Sequence[str]) -> dict[str, Any]:
    """What `personal.html` shows: questions for whoever rated little, and rows that follow."""
    count, skipped = len(desk.opinions.stars), skipped[-MAX_SKIPPED:]
    asked = desk.questions(skipped) if count < ENOUGH else []
    rows = desk.personal() if count else []
    return {"asked": asked, "skipped": skipped, "count": count, "goal": ENOUGH, "personal": rows}


def _pages(offset: int, more: bool, **query: str) -> dict[str, Any]:
    """The queries of the pages before and after this one; None where there is none."""
    before = {**query, "offset": max(offset - PAGE, 0)} if offset else None
    after = {**query, "offset": offset + PAGE} if more and offset < MAX_OFFSET else None
    return {"before": before, "after": after}
