"""The routes of those who run the endpoint: what it serves, how it is, and what it shall serve."""

import hmac
import os
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Path, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from filelock import Timeout

from movierec_serving import reload as reloading
from movierec_serving import schemas
from movierec_serving.answers import answer, problem
from movierec_serving.api import BAD_BODY, INVALID, NO_MODEL, Documented
from movierec_serving.blocklist import BlocklistError
from movierec_serving.holder import ModelHolder
from movierec_serving.settings import Settings

BUSY: Documented = {503: {"model": schemas.Problem, "description": "Another change does not end"}}
GUARDED: Documented = {
    401: {"model": schemas.Problem, "description": "No token, or a wrong one"},
    403: {"model": schemas.Problem, "description": "No token is set, so nobody may"},
}

bearer = HTTPBearer(auto_error=False, description="MOVIEREC_RELOAD_TOKEN")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
Movie = Annotated[schemas.MovieId, Path()]


def add_admin_routes(app: FastAPI, settings: Settings, holder: ModelHolder) -> None:
    @app.get(
        "/model", response_model=schemas.ModelInfo, responses=NO_MODEL, summary="The model answered from"
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

    @app.get("/health/live", response_model=schemas.Alive, summary="200 as long as the process answers")
    async def get_alive() -> Response:
        return answer({"status": "ok"}).response()

    @app.get(
        "/health", response_model=schemas.Health, responses=NO_MODEL, summary="The same as /health/ready"
    )
    @app.get(
        "/health/ready",
        response_model=schemas.Health,
        responses=NO_MODEL,
        summary="200 while there is a model",
    )
    async def get_health() -> Response:
        model = holder.current()
        holder.blocked(model)
        return answer({"status": "ok", "version": model.version}).response()

    @app.get("/metrics", response_class=Response, summary="Counts of all processes, for Prometheus")
    async def get_metrics() -> Response:
        lines = [*app.state.metrics.text(), "# TYPE movierec_model_version gauge"]
        lines.append(f"movierec_model_version {holder.pointer.load()}")
        return Response("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4; charset=utf-8")

    async def authorize(credentials: Credentials) -> None:
        if settings.reload_token is None:
            raise HTTPException(403, "this is refused: MOVIEREC_RELOAD_TOKEN is not set")
        if credentials is None or not _same(
            credentials.credentials, settings.reload_token.get_secret_value()
        ):
            raise HTTPException(401, "wrong or missing bearer token", {"WWW-Authenticate": "Bearer"})

    guard = [Depends(authorize)]

    @app.post(
        "/reload",
        response_model=schemas.ReloadAnswer,
        responses={
            **GUARDED,
            404: {"model": schemas.Problem, "description": "The store has no such version"},
            409: {"model": schemas.Problem, "description": "The version must not be served, and why"},
            **BUSY,
            **INVALID,
            **BAD_BODY,
        },
        dependencies=guard,
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

    def block(movie_id: str, blocked: bool) -> Response:
        try:
            changed = holder.blocklist.set(movie_id, blocked)
        except (Timeout, BlocklistError) as error:
            return problem(503, str(error) if isinstance(error, BlocklistError) else "busy").response()
        return answer({"movie_id": movie_id, "blocked": blocked, "changed": changed}).response()

    documented: Documented = {**GUARDED, **INVALID, **BUSY}

    @app.put(
        "/blocklist/{movie_id:id}", response_model=schemas.Blocked, responses=documented, dependencies=guard,
        summary="Take a movie off every list, from the next request on, whatever the model",
    )  # fmt: skip
    def put_blocked(movie_id: Movie) -> Response:
        return block(movie_id, True)

    @app.delete(
        "/blocklist/{movie_id:id}", response_model=schemas.Blocked, responses=documented, dependencies=guard,
        summary="Let a movie be listed again",
    )  # fmt: skip
    def delete_blocked(movie_id: Movie) -> Response:
        return block(movie_id, False)


def _same(given: str, token: str) -> bool:
    # Starlette reads headers as Latin-1, so this gives the bytes that were sent.
    return hmac.compare_digest(given.encode("latin-1", "replace"), token.encode())
