"""What is decided before FastAPI reads a request: who may ask, and the answer to the most frequent
question.
"""

import hmac
import re
from collections.abc import Sequence

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from movierec_serving.bundle import MAX_ID_LENGTH
from movierec_serving.errors import ModelUnavailableError
from movierec_serving.http.answers import Answer, Recommender, problem
from movierec_serving.http.schemas import Options
from movierec_serving.model.holder import ModelHolder

KEY_HEADER = "X-API-Key"
PREFIX = "/recommend/"
ONLY_N = re.compile(rb"n=([1-9][0-9]?|100)")
# Without a key: what tells nothing about users, and what has a token of its own. Routes to come are
# guarded.
OPEN = re.compile(
    r"/(health(/live|/ready)?|metrics|model|docs|openapi\.json|reload|blocklist/.*)", re.DOTALL
)


class ApiKeys:
    """ASGI middleware: 401 for whoever sends none of the keys, nor the token of those who run the
    endpoint.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[str], token: str | None) -> None:
        self._app = app
        self._known_ones = [(b"x-api-key", key.strip().encode()) for key in keys]
        if token:
            self._known_ones.append((b"authorization", b"Bearer " + token.encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or OPEN.fullmatch(scope["path"]) or self._known(scope):
            await self._app(scope, receive, send)
        else:
            await problem(401, f"wrong or missing {KEY_HEADER}").response()(scope, receive, send)

    def _known(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        matches = [
            hmac.compare_digest(headers.get(name, b""), key)
            for name, key in self._known_ones
            if key
        ]
        return True in matches  # all were compared, so that time tells nothing


class PlainLookup:
    """ASGI middleware: answers `GET /recommend/{user_id}` with at most `n`, and passes all else on.

    FastAPI's reading of options takes longer than the answer; a wrong id or number is passed on,
    too, so that there is one place that says what is wrong.
    """

    def __init__(self, app: ASGIApp, holder: ModelHolder, route: APIRoute) -> None:
        self._app, self._holder, self._route = app, holder, route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = (
            self._answer(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        )
        if answer is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        length = str(len(answer.body))
        headers = {"content-length": length, "content-type": "application/json", **answer.headers}
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        await send({"type": "http.response.body", "body": answer.body})

    def _answer(self, scope: Scope) -> Answer | None:
        path, query = scope["path"], scope["query_string"]
        user = path[len(PREFIX) :]
        number = ONLY_N.fullmatch(query)
        if not path.startswith(PREFIX) or not 0 < len(user) <= MAX_ID_LENGTH or "\0" in user:
            return None
        if query and not number:
            return None
        try:
            return Recommender(
                self._holder, Options(n=int(number[1])) if number else Options()
            ).one(user)
        except ModelUnavailableError as error:
            return problem(503, str(error))
