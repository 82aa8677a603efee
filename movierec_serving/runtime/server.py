"""Building the LitServe server, running it, and ending it without leaving a process behind."""

import logging
import os
import queue
import signal
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

import litserve as ls  # type: ignore[import-untyped]
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.gzip import GZipMiddleware

from movierec_serving.http import schemas
from movierec_serving.http.lookup import ApiKeys, PlainLookup
from movierec_serving.http.routes.admin import add_admin_routes
from movierec_serving.http.routes.public import (
    KEY,
    LIST,
    PUBLIC,
    add_error_answers,
    add_routes,
    problems,
)
from movierec_serving.metrics import Observed
from movierec_serving.model.holder import ModelHolder
from movierec_serving.orphans import die_with_parent, kill_children
from movierec_serving.runtime.processes import LastingServer
from movierec_serving.runtime.worker import DEADLINE, RecommendAPI, by_workers, configure_logging
from movierec_serving.settings import Settings

logger = logging.getLogger(__name__)

MAX_BODY = 1 << 20  # bytes
DRAIN = 3  # seconds that an API process may take to finish its requests
PATIENCE = 10.0  # seconds from a signal to the end, at most
LITSERVE_ROUTES = ("/", "/health", "/info", "/recommend")  # ours answer instead, or nobody


def build_server(settings: Settings) -> LastingServer:
    """The server with all routes; nothing is started, only the pointer's file is made if it is
    missing.
    """
    api = RecommendAPI(settings.store, settings.pointer)
    server = LastingServer(
        api,
        accelerator="cpu",
        workers_per_device=settings.serving_workers,
        timeout=DEADLINE,
        max_payload_size=MAX_BODY,
        restart_workers=True,
    )
    server.uvicorn_graceful_timeout = DRAIN
    server.monitor_internal = 0.5  # seconds between two looks at the workers
    app: FastAPI = server.app
    app.title = "movierec"
    app.description = "Movie recommendations from the model that was promoted last."
    app.router.routes[:] = [
        r for r in app.router.routes if getattr(r, "path", None) not in LITSERVE_ROUTES
    ]
    app.router.redirect_slashes = False  # an id may end in one
    # To compress ten movies takes longer than to find them; a proxy may do it.
    kinds: list[Any] = [GZipMiddleware]
    app.user_middleware[:] = [each for each in app.user_middleware if each.cls not in kinds]

    async def post_recommendations(request: schemas.RecommendRequest) -> None:
        """Up to 1,000 users in one request are one batch: many times cheaper than as many
        requests.
        """

    app.router.add_api_route(
        "/recommend",
        post_recommendations,
        methods=["POST"],
        dependencies=KEY,
        response_model=schemas.Recommendations | schemas.BatchRecommendations,
        responses={
            **PUBLIC,
            **problems(_413="The body is too large", _504=f"No answer within {DEADLINE:g} s"),
            **LIST,
        },
        summary="The same for one user, many, or the ratings of somebody unknown; by LitServe's "
        "workers",
        route_class_override=by_workers(server, api),
    )
    server.holder = holder = ModelHolder(settings.store, settings.pointer)
    add_routes(app, holder)
    add_admin_routes(app, settings, holder)
    add_error_answers(app)
    plain = next(
        r for r in app.routes if isinstance(r, APIRoute) and r.path_format == "/recommend/{user_id}"
    )
    app.add_middleware(PlainLookup, holder=holder, route=plain)
    if settings.api_keys:
        token = settings.reload_token.get_secret_value() if settings.reload_token else None
        app.add_middleware(
            ApiKeys, keys=settings.api_keys.get_secret_value().split(","), token=token
        )
    app.add_middleware(Observed)
    return server


def serve(settings: Settings) -> None:
    """Run until SIGTERM or Ctrl-C; every process that was started has ended when this returns."""
    configure_logging()
    os.register_at_fork(after_in_child=die_with_parent)  # the manager, and each API process
    server = build_server(settings)
    ending = _end_on_signal(server)
    logger.info(
        "http://%s:%d serves %s", settings.serving_host, settings.serving_port, settings.store
    )
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
    except (
        EOFError,
        OSError,
    ):  # the manager is gone, as it is when the whole process group was signalled
        if not ending.wait(timeout=1):
            raise
    finally:
        kill_children()  # none, unless LitServe failed while it started them


def _end_on_signal(server: ls.LitServer) -> threading.Event:
    """Let SIGTERM and SIGINT end the server in the order it knows, also while it starts.

    By itself LitServe would orphan its children on SIGTERM. An exception raised by the handler is
    no way out: between two forks it can be swallowed, or hide a child that has just been started.
    """
    main = os.getpid()
    ending = threading.Event()
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()  # its put is safe inside a handler

    def note(number: int, frame: FrameType | None) -> None:
        if (
            os.getpid() != main
        ):  # a forked API process, before uvicorn listens for signals or when it is done
            os._exit(0)
        signals.put(number)

    def end() -> None:
        number = signals.get()
        ending.set()
        logger.info("ending on %s", signal.Signals(number).name)
        threading.Thread(target=tell, name="tell", daemon=True).start()
        time.sleep(PATIENCE)
        logger.error("not ended within %g s: killed", PATIENCE)
        kill_children()
        os._exit(1)

    def tell() -> None:
        """By the manager, which may be gone, which ends the server as well, or hang."""
        while server._shutdown_event is None:
            time.sleep(0.05)
        with suppress(OSError, EOFError):
            server._shutdown_event.set()

    threading.Thread(target=end, name="end", daemon=True).start()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, note)
    return ending
