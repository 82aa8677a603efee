"""The routes of those who run the endpoint: what it serves, how it is, and what it shall serve."""

import hmac
import os
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from filelock import Timeout
from prometheus_client import CONTENT_TYPE_LATEST

from movierec_serving import metrics
from movierec_serving.errors import (
    BlocklistError,
    ModelUnavailableError,
    ReloadRefusedError,
    StoreError,
)
from movierec_serving.http.replies import problem, reply
from movierec_serving.http.routes.documented import (
    BAD_BODY,
    INVALID,
    NO_MODEL,
    MovieInPath,
    problems,
)
from movierec_serving.http.routes.experiment import add_experiment_routes, described
from movierec_serving.http.schemas.operating import (
    Alive,
    Blocked,
    Health,
    ModelInfo,
    ReloadAnswer,
    ReloadRequest,
)
from movierec_serving.model.holder import ModelHolder
from movierec_serving.model.reload import last_reload, reload
from movierec_serving.settings import ServingSettings

REFUSED = "MOVIEREC_RELOAD_TOKEN is not set, so everybody is refused"
GUARDED = (
    problems(
        _401="No token, or a wrong one",
        _403=REFUSED,
        _503="Another change is still under way, or the pointer's file was replaced",
    )
    | INVALID
)
RELOAD = problems(
    _404="The store has no such version",
    _409="The version failed a check and is not served; the answer says why",
)

bearer = HTTPBearer(auto_error=False, description="MOVIEREC_RELOAD_TOKEN")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def add_admin_routes(app: FastAPI, settings: ServingSettings, holder: ModelHolder) -> None:
    @app.get(
        "/model",
        response_model=ModelInfo,
        responses=NO_MODEL,
        summary="The version that is served, and what each process has open",
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
            "processes": metrics.processes(),
            "last_reload": last_reload(settings.pointer),
            "experiment": described(holder.arms.experiment()),
        }
        return reply(content, headers={"X-Model-Version": str(model.version)}).response()

    @app.get("/health/live", response_model=Alive, summary="200 as long as the process answers")
    async def get_alive() -> Response:
        return reply({"status": "ok"}).response()

    @app.get(
        "/health",
        response_model=Health,
        responses=NO_MODEL,
        summary="The same as /health/ready",
    )
    @app.get(
        "/health/ready",
        response_model=Health,
        responses=NO_MODEL,
        summary="200 while there is a model",
    )
    async def get_health() -> Response:
        model = holder.current()
        holder.blocked(model)
        return reply({"status": "ok", "version": model.version}).response()

    @app.get("/metrics", response_class=Response, summary="Counts of all processes, for Prometheus")
    async def get_metrics() -> Response:
        try:
            data_until: str | None = holder.current().data_until
        except ModelUnavailableError:
            data_until = None
        content = metrics.exposition(holder.pointer.load(), data_until)
        return Response(content, media_type=CONTENT_TYPE_LATEST)

    async def authorize(credentials: Credentials) -> None:
        if settings.reload_token is None:
            raise HTTPException(403, "this is refused: MOVIEREC_RELOAD_TOKEN is not set")
        # Starlette reads headers as Latin-1, so this gives the bytes that were sent.
        given = credentials.credentials.encode("latin-1", "replace") if credentials else b""
        if not hmac.compare_digest(given, settings.reload_token.get_secret_value().encode()):
            raise HTTPException(
                401, "wrong or missing bearer token", {"WWW-Authenticate": "Bearer"}
            )

    guard = [Depends(authorize)]
    add_experiment_routes(app, holder, guard, GUARDED)

    @app.post(
        "/reload",
        response_model=ReloadAnswer,
        responses={**GUARDED, **RELOAD, **BAD_BODY},
        dependencies=guard,
        summary="Serve another version, newer or older",
    )
    def post_reload(request: ReloadRequest) -> Response:
        """When this has answered, no process answers a later request from another version.

        A refused version changes nothing; the one served already is answered with `changed: false`.
        """
        try:
            done = reload(
                settings.store,
                holder.pointer,
                request.version,
                holder.renew_events,
                holder.shared,
            )
            return reply(done).response()
        except ReloadRefusedError as error:
            return problem(error.status, str(error)).response()

    def block(movie_id: str, blocked: bool) -> Response:
        try:
            changed = holder.blocklist.set(movie_id, blocked)
        except (BlocklistError, StoreError) as error:
            return problem(503, str(error)).response()
        except Timeout:
            return problem(503, "another change of the blocklist does not end").response()
        return reply({"movie_id": movie_id, "blocked": blocked, "changed": changed}).response()

    @app.put(
        "/blocklist/{movie_id:id}",
        response_model=Blocked,
        responses=GUARDED,
        dependencies=guard,
        summary="Take a movie off every list, from the next request on and for later versions, too",
    )
    def put_blocked(movie_id: MovieInPath) -> Response:
        return block(movie_id, True)

    @app.delete(
        "/blocklist/{movie_id:id}",
        response_model=Blocked,
        responses=GUARDED,
        dependencies=guard,
        summary="Let a movie be listed again",
    )
    def delete_blocked(movie_id: MovieInPath) -> Response:
        return block(movie_id, False)
