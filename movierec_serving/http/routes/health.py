"""The routes that say how the endpoint is: what it serves, whether it is well, what it counted."""

import os

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST

from movierec_serving import metrics
from movierec_serving.errors import ModelUnavailableError
from movierec_serving.http.replies import reply
from movierec_serving.http.routes.documented import NO_MODEL
from movierec_serving.http.routes.experiment import described
from movierec_serving.http.schemas.operating import Alive, Health, ModelInfo
from movierec_serving.model.holder import ModelHolder
from movierec_serving.model.reload import last_reload
from movierec_serving.settings import ServingSettings


def add_health_routes(app: FastAPI, settings: ServingSettings, holder: ModelHolder) -> None:
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
