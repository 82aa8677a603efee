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

Sent = Annotated[Fields, Depends(fields)]


def add_entrance(router: APIRouter, accepted: Accepted) -> None:
    @router.post("/come")
    def post_come(request: Request, form: Sent) -> Response:
        user = dict(form).get("user", "").strip() or new_name()
        if not is_id(user):
            raise PageError(422, "name")
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


def secure(request: Request) -> bool:
    """Whether the browser came by https, perhaps to a proxy."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
