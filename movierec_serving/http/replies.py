"""Replies ready to be sent: status, JSON and headers.

Plain values, since LitServe's workers make them, too, and send them through a queue. What a list
of movies holds is `recommender.py`'s.
"""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from fastapi import Response
from starlette.types import Send

from movierec_serving.errors import OptionError, OtherShardError

logger = logging.getLogger(__name__)

INTERNAL = "internal error"
SHARD_HEADER = "X-Movierec-Shard"


class Reply(NamedTuple):
    """What an answer consists of; a queue carries it at little cost."""

    status: int
    body: bytes
    headers: dict[str, str]

    def response(self) -> Response:
        return Response(self.body, self.status, self.headers, "application/json")

    async def sent(self, send: Send) -> None:
        """Send it without a `Response`, which costs a tenth of a plain answer."""
        length = str(len(self.body))
        headers = {"content-length": length, "content-type": "application/json", **self.headers}
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": encoded})
        await send({"type": "http.response.body", "body": self.body})


def reply(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, orjson.dumps(content), headers or {})


def problem(status: int, detail: str) -> Reply:
    return reply({"detail": detail}, status, {"Retry-After": "1"} if status == 503 else None)


def invalid(errors: Sequence[Any], *within: str) -> Reply:
    """Pydantic's errors without the input, which may be what JSON cannot carry back, as NaN is."""
    fields = []
    for error in errors:
        place = (*within, *error["loc"])
        loc = [part if isinstance(part, int) else printable(part) for part in place]
        fields.append({"loc": loc, "msg": printable(error["msg"]), "type": error["type"]})
    return reply({"detail": fields}, 422)


def wrong_option(error: OptionError, where: str) -> Reply:
    """`where` is the part of the request that has the option: query or body."""
    return invalid([{"loc": (error.field,), "msg": str(error), "type": "value_error"}], where)


def misdirected(error: OtherShardError) -> Reply:
    """The header, sent again with the request, leads a router to the right part."""
    return reply({"detail": str(error)}, 421, {SHARD_HEADER: str(error.number)})


def not_kept(error: Exception) -> Reply:
    """Answer 503. The error is logged alone: it may name paths or hosts."""
    logger.error("%s", error)
    return problem(503, "the store of events cannot be used; try again")


def printable(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot carry."""
    return text.encode("utf-8", "replace").decode()
