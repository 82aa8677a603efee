"""What a caller gets when a route raises: each foreseen error as a reply, all else as a 500."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.requests import ClientDisconnect

from movierec_serving.errors import (
    EventStoreError,
    ModelUnavailableError,
    OptionError,
    OtherShardError,
    PageGoneError,
)
from movierec_serving.http.middleware.observed import CLIENT_CLOSED_REQUEST
from movierec_serving.http.replies import (
    INTERNAL,
    Reply,
    invalid,
    misdirected,
    not_kept,
    problem,
    wrong_option,
)

# What a foreseen error is answered with.
REPLIES: dict[type[Exception], Callable[[Any], Reply]] = {
    ModelUnavailableError: lambda error: problem(503, str(error)),
    EventStoreError: not_kept,
    PageGoneError: lambda error: problem(410, str(error)),
    OtherShardError: misdirected,
    OptionError: lambda error: wrong_option(error, "query"),
    RequestValidationError: lambda error: invalid(error.errors()),
    # Nobody reads it.
    ClientDisconnect: lambda _: problem(CLIENT_CLOSED_REQUEST, "the client hung up"),
    Exception: lambda _: problem(500, INTERNAL),
}


def add_error_replies(app: FastAPI) -> None:
    for kind, reply in REPLIES.items():
        app.add_exception_handler(kind, _handler(reply))


def _handler(reply: Callable[[Any], Reply]) -> Callable[[Request, Exception], Any]:
    async def handle(_: Request, error: Exception) -> Response:
        return reply(error).response()

    return handle
