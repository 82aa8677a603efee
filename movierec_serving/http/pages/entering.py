"""How somebody comes and goes: by a name or an id, and by a key where the endpoint asks for one."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from movierec_serving.errors import PageError
from movierec_serving.http.middleware.api_keys import Accepted
from movierec_serving.http.pages.forms import Fields, fields
from movierec_serving.http.pages.problems import elsewhere
from movierec_serving.http.pages.rendering import render, url
from movierec_serving.http.pages.visitor import (
    forget,
    is_id,
    new_name,
    remember,
    remember_key,
    visitor,
)
from movierec_serving.model.holder import ModelHolder

Sent = Annotated[Fields, Depends(fields)]


def add_entrance(router: APIRouter, accepted: Accepted, holder: ModelHolder) -> None:
    @router.post("/come")
    def post_come(request: Request, form: Sent) -> Response:
        given = dict(form)
        user = given.get("user", "").strip() or new_name()
        if not is_id(user):
            raise PageError(422, "name")
        if "new" in given and _is_taken(holder, user):
            raise PageError(409, "taken")
        answer = elsewhere(request, url())
        remember(answer, user, secure(request))
        return answer

    @router.post("/leave")
    def post_leave(request: Request, form: Sent) -> Response:
        answer = elsewhere(request, url())
        forget(answer)
        return answer

    @router.get("/key")
    def get_key(request: Request) -> Response:
        return render("key.html", user=visitor(request))

    @router.post("/key")
    def post_key(request: Request, form: Sent) -> Response:
        value = accepted.cookie_of(dict(form).get("key", "").strip())
        if value is None:
            raise PageError(401, "key")
        answer = elsewhere(request, url())
        remember_key(answer, value, secure(request))
        return answer


def _is_taken(holder: ModelHolder, user: str) -> bool:
    """Whether somebody of this name is known: the ratings of both would be mixed."""
    model = holder.current()
    known = model.user_row(user) is not None
    return known or (holder.lately is not None and holder.lately.of(model, user) is not None)


def secure(request: Request) -> bool:
    """Whether the browser came by https, perhaps to a proxy."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
