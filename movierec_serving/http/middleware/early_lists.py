"""A user's list before FastAPI reads what is asked: that takes longer than the answer.

What an answer holds is `recommender.py`'s, and what is wrong with a request is a route's to say.
"""

from functools import lru_cache
from urllib.parse import parse_qs

from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from movierec_serving.bundle.layout import is_id
from movierec_serving.errors import MovierecError
from movierec_serving.http.plain import plain_list
from movierec_serving.http.recommender import Recommender
from movierec_serving.http.replies import Reply
from movierec_serving.http.schemas.requests import PagedOptions
from movierec_serving.model.holder import ModelHolder

PREFIX = "/recommend/"
PLAIN = {"n", "shown"}  # options that leave the published list as it is
LISTS = {
    name for name, field in PagedOptions.model_fields.items() if isinstance(field.default, list)
}
REPEATED = 100  # bytes of a query that is likely to come again


class EarlyLists:
    """ASGI middleware: answers `GET /recommend/{user_id}`, and passes all else on.

    What cannot be answered with a list is passed on, too, so that one place says what is wrong.
    """

    def __init__(self, app: ASGIApp, holder: ModelHolder, route: APIRoute) -> None:
        self._app, self._holder, self._route = app, holder, route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] == "http" and scope["method"] == "GET"
        reply = self._reply(scope["path"], scope["query_string"]) if asked else None
        if reply is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        await reply.sent(send)

    def _reply(self, path: str, query: bytes) -> Reply | None:
        user = path[len(PREFIX) :]
        if not path.startswith(PREFIX) or not is_id(user):
            return None
        options = _repeated(query) if len(query) <= REPEATED else options_of(query)
        if options is None:
            return None
        try:
            if options.model_fields_set <= PLAIN:
                reply = plain_list(self._holder, user, path, options)
                if reply is not None:
                    return reply
            return Recommender.of_page(self._holder, path, options).for_user(user)
        except MovierecError:
            return None


def options_of(query: bytes) -> PagedOptions | None:
    """The options, read as FastAPI does; None if one is wrong."""
    asked = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    given = {name: values if name in LISTS else values[-1] for name, values in asked.items()}
    try:
        return PagedOptions.model_validate(given)
    except ValidationError:
        return None


_repeated = lru_cache(1000)(options_of)
