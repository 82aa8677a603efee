"""What a caller gets when a route raises: each foreseen error as a reply, all else as a 500."""

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
    invalid,
    misdirected,
    not_kept,
    problem,
    wrong_option,
)


def add_error_replies(app: FastAPI) -> None:
    @app.exception_handler(ModelUnavailableError)
    async def no_model(_: Request, error: Exception) -> Response:
        return problem(503, str(error)).response()

    @app.exception_handler(EventStoreError)
    async def no_store(_: Request, error: Exception) -> Response:
        return not_kept(error).response()

    @app.exception_handler(PageGoneError)
    async def gone(_: Request, error: Exception) -> Response:
        return problem(410, str(error)).response()

    @app.exception_handler(OtherShardError)
    async def elsewhere(_: Request, error: Exception) -> Response:
        assert isinstance(error, OtherShardError)
        return misdirected(error).response()

    @app.exception_handler(OptionError)
    async def no_such(_: Request, error: Exception) -> Response:
        assert isinstance(error, OptionError)
        return wrong_option(error, "query").response()

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return invalid(error.errors()).response()

    @app.exception_handler(ClientDisconnect)
    async def hung_up(_: Request, error: Exception) -> Response:
        return problem(CLIENT_CLOSED_REQUEST, "the client hung up").response()  # nobody reads it

    @app.exception_handler(Exception)
    async def internal(_: Request, error: Exception) -> Response:
        return problem(500, INTERNAL).response()
