"""The routes that API processes answer themselves, and how errors look."""

import hmac
import os
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.convertors import StringConvertor, register_url_convertor

from movierec_serving import reload as reloading
from movierec_serving import schemas
from movierec_serving.answers import answer, problem, recommendations
from movierec_serving.holder import ModelHolder, ModelUnavailableError
from movierec_serving.settings import Settings

Documented = dict[int | str, dict[str, Any]]
NO_MODEL: Documented = {503: {"model": schemas.Problem, "description": "No model can be answered from"}}
INVALID: Documented = {422: {"model": schemas.InvalidRequest, "description": "Names the field that is wrong"}}
BAD_BODY: Documented = {
    400: {"model": schemas.Problem, "description": "The body cannot be read"},
    413: {"model": schemas.Problem, "description": "The body is too large"},
}
RECOMMEND: Documented = {
    200: {"headers": {"X-Model-Version": {"schema": {"type": "integer"}, "description": "as in the body"}}}
}

bearer = HTTPBearer(auto_error=False, description="MOVIEREC_RELOAD_TOKEN")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


class IdConvertor(StringConvertor):
    """The rest of the path, slashes and line ends included: an id is any text."""

    regex = "(?s:.*)"


def add_routes(app: FastAPI, settings: Settings, holder: ModelHolder) -> None:
    register_url_convertor("id", IdConvertor())

    @app.get(
        "/recommend/{user_id:id}",
        response_model=schemas.Recommendations,
        responses={**RECOMMEND, **INVALID, **NO_MODEL},
        summary="A user's best unseen movies; popular ones for a user the model does not know",
    )
    async def get_recommendations(
        user_id: Annotated[schemas.UserId, Path()], n: Annotated[schemas.Count, Query()] = 10
    ) -> Response:
        return recommendations(holder, user_id, n).response()

    @app.get(
        "/model",
        response_model=schemas.ModelInfo,
        responses=NO_MODEL,
        summary="The model that is answered from",
    )
    async def get_model() -> Response:
        model = holder.current()
        manifest = model.bundle.manifest
        content = {
            "version": model.version,
            "data_until": model.data_until,
            "identity": manifest.identity,
            "format_version": manifest.format_version,
            "pid": os.getpid(),
        }
        return answer(content, headers={"X-Model-Version": str(model.version)}).response()

    @app.get(
        "/health",
        response_model=schemas.Health,
        responses=NO_MODEL,
        summary="200 as soon as there is a model",
    )
    async def get_health() -> Response:
        return answer({"status": "ok", "version": holder.current().version}).response()

    async def authorize(credentials: Credentials) -> None:
        if settings.reload_token is None:
            raise HTTPException(403, "reload is refused: MOVIEREC_RELOAD_TOKEN is not set")
        if credentials is None or not _same(
            credentials.credentials, settings.reload_token.get_secret_value()
        ):
            raise HTTPException(401, "wrong or missing bearer token", {"WWW-Authenticate": "Bearer"})

    @app.post(
        "/reload",
        response_model=schemas.ReloadAnswer,
        responses={
            401: {"model": schemas.Problem, "description": "No token, or a wrong one"},
            403: {"model": schemas.Problem, "description": "No token is set, so nobody may reload"},
            404: {"model": schemas.Problem, "description": "The store has no such version"},
            409: {"model": schemas.Problem, "description": "The version must not be served, and why"},
            503: {"model": schemas.Problem, "description": "Another reload does not end"},
            **INVALID,
            **BAD_BODY,
        },
        dependencies=[Depends(authorize)],
        summary="Serve another version, older ones included",
    )
    def post_reload(request: schemas.ReloadRequest) -> Response:
        """When this has answered, no process answers a later request from another version.

        A refused version changes nothing; the one served already is answered with `changed: false`.
        """
        try:
            outcome = reloading.reload(settings.store, holder.pointer, settings.reload_lock, request.version)
        except reloading.VersionMissingError as error:
            return problem(404, str(error)).response()
        except reloading.VersionRefusedError as error:
            return problem(409, str(error)).response()
        except reloading.ReloadBusyError as error:
            return problem(503, str(error)).response()
        return answer(outcome).response()


def add_error_answers(app: FastAPI) -> None:
    @app.exception_handler(ModelUnavailableError)
    async def no_model(_: Request, error: Exception) -> Response:
        return problem(503, str(error)).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: Exception) -> Response:
        """Field and reason, without the input: it may be what JSON cannot carry back, as NaN is."""
        assert isinstance(error, RequestValidationError)
        fields = [
            {
                "loc": [part if isinstance(part, int) else _printable(part) for part in item["loc"]],
                "msg": _printable(item["msg"]),
                "type": item["type"],
            }
            for item in error.errors()
        ]
        return answer({"detail": fields}, 422).response()

    @app.exception_handler(Exception)
    async def internal(_: Request, error: Exception) -> Response:
        return problem(500, "internal error").response()


def _same(given: str, token: str) -> bool:
    # Starlette reads headers as Latin-1, so this gives the bytes that were sent.
    return hmac.compare_digest(given.encode("latin-1", "replace"), token.encode())


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
