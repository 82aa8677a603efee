"""Building the LitServe server, running it, and ending it without leaving a process behind."""

import logging
import multiprocessing
import os
import signal
from types import FrameType

import litserve as ls  # type: ignore[import-untyped]
from fastapi import Response

from movierec_serving import schemas
from movierec_serving.api import BAD_BODY, INVALID, NO_MODEL, RECOMMEND, add_error_answers, add_routes
from movierec_serving.holder import ModelHolder
from movierec_serving.settings import Settings
from movierec_serving.worker import DEADLINE, RecommendAPI, ask_worker, configure_logging

logger = logging.getLogger(__name__)

MAX_BODY = 1 << 20  # bytes
DRAIN = 3  # seconds that an API process may take to finish its requests
LITSERVE_ROUTES = ("/", "/health", "/info", "/recommend")  # ours answer instead, or nobody


def build_server(settings: Settings) -> ls.LitServer:
    """The server with all routes; nothing is started, only the pointer's file is made if it is missing."""
    api = RecommendAPI(settings.store, settings.pointer)
    server = ls.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=settings.serving_workers,
        timeout=DEADLINE,
        max_payload_size=MAX_BODY,
        restart_workers=True,
    )
    server.uvicorn_graceful_timeout = DRAIN
    server.monitor_internal = 0.5  # seconds between two looks at the workers
    app = server.app
    app.title = "movierec"
    app.description = "Movie recommendations from the model that was promoted last."
    app.router.routes[:] = [r for r in app.router.routes if getattr(r, "path", None) not in LITSERVE_ROUTES]

    @app.post(
        "/recommend",
        response_model=schemas.Recommendations,
        responses={
            **RECOMMEND,
            **BAD_BODY,
            **INVALID,
            **NO_MODEL,
            504: {"model": schemas.Problem, "description": f"No answer within {DEADLINE:g} s"},
        },
        summary="The same, answered by LitServe's workers",
    )
    async def post_recommendations(request: schemas.RecommendRequest) -> Response:
        return await ask_worker(server, api, request)

    add_routes(app, settings, ModelHolder.of(settings.store, settings.pointer))
    add_error_answers(app)
    return server


def serve(settings: Settings) -> None:
    """Run until SIGTERM or Ctrl-C; every process that was started has ended when this returns."""
    configure_logging()
    server = build_server(settings)
    _end_on_signal()
    logger.info("http://%s:%d serves %s", settings.serving_host, settings.serving_port, settings.store)
    try:
        server.run(
            host=settings.serving_host,
            port=settings.serving_port,
            num_api_servers=settings.serving_api_processes,
            log_level="warning",
            access_log=False,
            server_header=False,
            generate_client_file=False,
        )
    except KeyboardInterrupt:
        logger.info("stopped while starting")
    finally:
        _end_children()


def _end_on_signal() -> None:
    """LitServe ends its children on KeyboardInterrupt alone; SIGTERM would orphan them."""
    main = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() != main:  # a forked API process: uvicorn raises the signal again when it is done
            raise SystemExit(0)
        for each in (signal.SIGTERM, signal.SIGINT):  # the end must not be interrupted
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, end)


def _end_children() -> None:
    """Whatever LitServe has left: it cleans up only what it had finished starting."""
    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    for child in children:
        child.join(timeout=DRAIN)
        if child.is_alive():
            child.kill()
            child.join()
