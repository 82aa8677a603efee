"""The most frequent request, without options, past the machinery that reads options."""

import re

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from movierec_serving.answers import Answer, Recommender, Wish, id_problem, problem
from movierec_serving.holder import ModelHolder, ModelUnavailableError

PREFIX = "/recommend/"
ONLY_N = re.compile(rb"n=([1-9][0-9]?|100)")


class PlainLookup:
    """ASGI middleware: answers `GET /recommend/{user_id}` with at most `n`, and passes all else on.

    FastAPI's reading of six parameters takes longer than the answer; a wrong id or number is passed on,
    too, so that there is one place that says what is wrong.
    """

    def __init__(self, app: ASGIApp, holder: ModelHolder, route: BaseRoute) -> None:
        self._app, self._holder, self._route = app, holder, route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answer(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        if answer is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        headers = {
            "content-length": str(len(answer.body)), "content-type": "application/json", **answer.headers
        }  # fmt: skip
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        await send({"type": "http.response.body", "body": answer.body})

    def _answer(self, scope: Scope) -> Answer | None:
        path, query = scope["path"], scope["query_string"]
        if not path.startswith(PREFIX) or id_problem(user_id := path[len(PREFIX) :]) is not None:
            return None
        if not query:
            wish = Wish()
        elif number := ONLY_N.fullmatch(query):
            wish = Wish(int(number[1]))
        else:
            return None
        try:
            return Recommender(self._holder, wish).user(user_id)
        except ModelUnavailableError as error:
            return problem(503, str(error))
