"""The answer to the most frequent question, before FastAPI reads it.

Whatever else may be asked of a list is a route's.
"""

import re
from functools import cache

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from movierec_serving.bundle import MAX_ID_LENGTH
from movierec_serving.errors import ModelUnavailableError, OtherShardError
from movierec_serving.http.paging import question
from movierec_serving.http.plain import plain_list
from movierec_serving.http.recommender import Recommender
from movierec_serving.http.replies import Reply, misdirected, problem
from movierec_serving.http.schemas.requests import Options
from movierec_serving.model.holder import ModelHolder

PREFIX = "/recommend/"
PLAIN = re.compile(rb"(?:n=([1-9][0-9]?|100)(?=&|$))?((?:^|&)shown=false)?")


@cache
def _options(n: int | None, shown: bool) -> Options:
    """Make the options of a plain request, once for each `n`: it costs a tenth of an answer."""
    return Options(shown=shown) if n is None else Options(n=n, shown=shown)


class PlainLookup:
    """ASGI middleware: answers `GET /recommend/{user_id}` with at most `n` and `shown=false`, and
    passes all else on.

    FastAPI's reading of options takes longer than the answer; a wrong id or number is passed on,
    too, so that there is one place that says what is wrong.
    """

    def __init__(self, app: ASGIApp, holder: ModelHolder, route: APIRoute) -> None:
        self._app, self._holder, self._route = app, holder, route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] == "http" and scope["method"] == "GET"
        reply = self._reply(scope) if asked else None
        if reply is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        await reply.sent(send)

    def _reply(self, scope: Scope) -> Reply | None:
        path, query = scope["path"], scope["query_string"]
        user = path[len(PREFIX) :]
        asked = PLAIN.fullmatch(query)
        if not path.startswith(PREFIX) or not 0 < len(user) <= MAX_ID_LENGTH or "\0" in user:
            return None
        if asked is None:
            return None
        number, unseen = asked.groups()
        options = _options(int(number) if number else None, not unseen)
        try:
            reply = plain_list(self._holder, user, path, options)
            if reply is None:
                of = question(path, options)
                reply = Recommender(self._holder, options, asked=of).for_user(user)
            return reply
        except ModelUnavailableError as error:
            return problem(503, str(error))
        except OtherShardError as error:
            return misdirected(error)
