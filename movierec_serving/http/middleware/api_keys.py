"""Who may ask: one of the keys that were set, or the token of those who run the endpoint.

A person gives one of them once, on the page `/app/key`; the browser keeps a cookie that follows
from it, which opens the pages and nothing else. Who may change what is served is checked by
`routes/guard.py`, with or without keys.
"""

import hmac
import re
from http.cookies import CookieError, SimpleCookie
from typing import Self

from fastapi import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from movierec_serving.http.replies import problem
from movierec_serving.settings import ServingSettings

KEY_HEADER = "X-API-Key"
# Without a key: what tells nothing about users, and what has a token of its own. Routes to come are
# guarded.
OPEN = re.compile(
    r"/(health(/live|/ready)?|metrics|model|docs|static/[^/]*|openapi\.json|app/key|reload"
    r"|blocklist/.*)?",
    re.DOTALL,
)
ASK = "/app/key"
COOKIE = "movierec_key"
Header = tuple[bytes, bytes]


class Accepted:
    """The keys and the token that open what is not open to everybody."""

    def __init__(self, keys: list[str], token: str | None) -> None:
        self._headers: list[Header] = [(b"x-api-key", key.encode()) for key in keys]
        if token:
            self._headers.append((b"authorization", b"bearer " + token.encode()))
        self._cookies = [_cookie(secret) for secret in (*keys, *([token] if token else []))]

    @classmethod
    def of(cls, settings: ServingSettings) -> Self:
        keys, token = settings.api_keys, settings.reload_token
        given = keys.get_secret_value().split(",") if keys else []
        return cls(
            [key.strip() for key in given if key.strip()],
            token.get_secret_value() if token else None,
        )

    def cookie_of(self, given: str) -> str | None:
        """What the browser of somebody keeps who gives a key or the token; None for neither."""
        cookie = _cookie(given)
        return cookie if self._has(cookie) else None

    def opens(self, headers: dict[bytes, bytes], path: str) -> bool:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        given = {**headers, b"authorization": scheme.lower() + b" " + token}  # RFC 7235: any case
        matches = [
            hmac.compare_digest(given.get(name, b""), secret) for name, secret in self._headers
        ]
        if is_page(path):
            matches.append(self._has(_kept(headers)))
        return True in matches  # all were compared, so that time tells nothing

    def _has(self, cookie: str) -> bool:
        return True in [hmac.compare_digest(cookie, own) for own in self._cookies]


class ApiKeys:
    """ASGI middleware: 401 for whoever sends neither a key nor the token; a person is asked."""

    def __init__(self, app: ASGIApp, accepted: Accepted) -> None:
        self._app, self._accepted = app, accepted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or OPEN.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if self._accepted.opens(headers, scope["path"]):
            await self._app(scope, receive, send)
        else:
            await _refusal(headers, scope["path"])(scope, receive, send)


def is_page(path: str) -> bool:
    """Whether a path is a page that people look at."""
    return path == "/app" or path.startswith("/app/")


def _refusal(headers: dict[bytes, bytes], path: str) -> Response:
    if not is_page(path):
        return problem(401, f"wrong or missing {KEY_HEADER}").response()
    if b"hx-request" in headers:  # its answer would be a part of a page
        return Response(status_code=401, headers={"HX-Redirect": ASK})
    return Response(status_code=303, headers={"Location": ASK, "Cache-Control": "no-store"})


def _cookie(secret: str) -> str:
    """What opens the pages and cannot be turned back into the key."""
    return hmac.digest(secret.encode(errors="replace"), b"movierec: the pages", "sha256").hex()


def _kept(headers: dict[bytes, bytes]) -> str:
    try:
        cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return ""
    return cookies[COOKIE].value.encode("ascii", "replace").decode() if COOKIE in cookies else ""
