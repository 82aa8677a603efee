"""Who may ask: one of the keys that were set, or the token of those who run the endpoint.

Who may change what is served is checked by the routes of `routes/admin.py`, with or without keys.
"""

import hmac
import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from movierec_serving.http.replies import problem

KEY_HEADER = "X-API-Key"
# Without a key: what tells nothing about users, and what has a token of its own. Routes to come are
# guarded.
OPEN = re.compile(
    r"/(health(/live|/ready)?|metrics|model|docs|static/[^/]*|openapi\.json|reload|blocklist/.*)?",
    re.DOTALL,
)
Header = tuple[bytes, bytes]


class ApiKeys:
    """ASGI middleware: 401 for whoever sends neither a key nor the token."""

    def __init__(self, app: ASGIApp, keys: Sequence[str], token: str | None) -> None:
        self._app = app
        self._accepted: list[Header] = [
            (b"x-api-key", key.strip().encode()) for key in keys if key.strip()
        ]
        if token:
            self._accepted.append((b"authorization", b"bearer " + token.encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or OPEN.fullmatch(scope["path"]) or self._may_ask(scope):
            await self._app(scope, receive, send)
        else:
            await problem(401, f"wrong or missing {KEY_HEADER}").response()(scope, receive, send)

    def _may_ask(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        headers[b"authorization"] = scheme.lower() + b" " + token  # RFC 7235: in any case
        matches = [
            hmac.compare_digest(headers.get(name, b""), secret) for name, secret in self._accepted
        ]
        return True in matches  # all were compared, so that time tells nothing
