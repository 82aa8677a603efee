"""The routes that change what the endpoint serves, for those who run it."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Response
from filelock import Timeout

from movierec_serving.errors import BlocklistError, ReloadRefusedError, StoreError
from movierec_serving.http.replies import problem, reply
from movierec_serving.http.routes.documented import BAD_BODY, MovieInPath, problems
from movierec_serving.http.routes.experiment import add_experiment_routes
from movierec_serving.http.routes.guard import GUARDED, guard_of
from movierec_serving.http.schemas.operating import Blocked, ReloadAnswer, ReloadRequest
from movierec_serving.model.holder import ModelHolder
from movierec_serving.model.reload import reload
from movierec_serving.settings import ServingSettings

RELOAD = problems(
    {
        404: "The store has no such version",
        409: "The version failed a check and is not served; the answer says why",
    }
)


def add_admin_routes(app: FastAPI, settings: ServingSettings, holder: ModelHolder) -> None:
    guard = guard_of(settings)
    add_experiment_routes(app, holder, guard)
    _add_reload_route(app, settings, holder, guard)
    _add_blocklist_routes(app, holder, guard)


def _add_reload_route(
    app: FastAPI, settings: ServingSettings, holder: ModelHolder, guard: Sequence[Any]
) -> None:
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
                settings.store, holder.pointer, request.version, holder.renew_events, holder.shared
            )
            return reply(done).response()
        except ReloadRefusedError as error:
            return problem(error.status, str(error)).response()


def _add_blocklist_routes(app: FastAPI, holder: ModelHolder, guard: Sequence[Any]) -> None:
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
