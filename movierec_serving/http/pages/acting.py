"""What somebody says about a movie: kept as an event, and the parts of the page that change."""

import secrets
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from movierec_serving.errors import EventStoreError, PageError
from movierec_serving.events import Event
from movierec_serving.http.pages.desk import Desk
from movierec_serving.http.pages.forms import Act, Fields, fields
from movierec_serving.http.pages.problems import NOBODY, elsewhere
from movierec_serving.http.pages.rendering import render, stars_in_words, texts, url
from movierec_serving.http.pages.routes import personal
from movierec_serving.http.pages.visitor import visitor
from movierec_serving.model.holder import ModelHolder

TYPES = {"rate": "rating"}  # events' word for it, where it is another one


def add_acts(router: APIRouter, holder: ModelHolder) -> None:
    @router.post("/act")
    def post_act(request: Request, form: Annotated[Fields, Depends(fields)]) -> Response:
        user = visitor(request)
        if user is None:
            raise PageError(401, NOBODY)
        act = Act.of(form)
        _keep(holder, user, act)
        if not request.headers.get("hx-request"):
            return elsewhere(request, _back(request))
        desk = Desk(holder, user)
        return render(
            f"after-{act.place}.html",
            user=user,
            act=act,
            card=desk.card(act.movie_id),
            said=_said(desk, act),
            **(personal(desk, act.skipped) if act.place != "page" else {}),
        )


def _keep(holder: ModelHolder, user: str, act: Act) -> None:
    """Keep what was done; it is on the disk, and every list knows it, when this returns.

    Raises:
        EventStoreError: it is not.
    """
    if holder.lately is None:
        raise EventStoreError("this endpoint keeps no events")
    event = Event.of(
        user,
        act.movie_id,
        TYPES.get(act.kind, act.kind),
        act.stars,
        timestamp=int(time.time()),
        event_id=secrets.token_hex(16),  # the same rating again is another event
        recommendation_id=act.list_id or None,
    )
    holder.lately.log.append([event])


def _said(desk: Desk, act: Act) -> str:
    sentence: str = getattr(texts().said, act.kind)
    stars = "" if act.stars is None else stars_in_words(act.stars)
    return sentence.format(title=desk.card(act.movie_id).title, stars=stars)


def _back(request: Request) -> str:
    """The page that the form was on, for a browser without script; never another site's."""
    _, _, path = request.headers.get("referer", "").partition(request.headers.get("host", "\0"))
    return path if path.startswith("/app") else url()
