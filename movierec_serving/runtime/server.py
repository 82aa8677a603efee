"""Building the LitServe server, running it, and ending it without leaving a process behind.

Routes and middleware are put together in `http/app.py`.
"""

import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import litserve as ls  # type: ignore[import-untyped]
from fastapi import FastAPI

from movierec_serving import logs
from movierec_serving.http.app import complete
from movierec_serving.model.reload import begin_on_production
from movierec_serving.orphans import die_with_parent, kill_children
from movierec_serving.runtime.following import following
from movierec_serving.runtime.processes import LastingServer
from movierec_serving.runtime.worker import (
    DEADLINE,
    RecommendAPI,
    by_workers,
    collect_seldom,
    holder_of,
)
from movierec_serving.settings import ServingSettings

logger = logging.getLogger(__name__)

DRAIN = 3  # seconds that an API process may take to finish its requests
PATIENCE = 10.0  # seconds from a signal to the end, at most
# Ours answer instead, or nobody.
LITSERVE_ROUTES = {
    *("/", "/health", "/info", "/recommend"),
    *("/docs", "/docs/oauth2-redirect", "/redoc"),
}


def build_server(settings: ServingSettings) -> LastingServer:
    """The server with all routes; nothing is started, only the pointer's file is made if it is
    missing.
    """
    api = RecommendAPI(settings)
    server = LastingServer(
        api,
        accelerator="cpu",
        workers_per_device=settings.serving_workers,
        timeout=DEADLINE,
        restart_workers=True,
    )
    server.uvicorn_graceful_timeout = DRAIN
    server.monitor_internal = 0.5  # seconds between two looks at the workers
    server.holder = holder_of(settings)
    app: FastAPI = server.app
    app.router.routes[:] = [
        route for route in app.router.routes if getattr(route, "path", None) not in LITSERVE_ROUTES
    ]
    # LitServe compresses: for ten movies that takes longer than to find them; a proxy may do it.
    app.user_middleware.clear()
    route = by_workers(server, api, server.holder)
    server.served = complete(app, settings, server.holder, route, DEADLINE)
    return server


def serve(settings: ServingSettings) -> None:
    """Run until SIGTERM or Ctrl-C; every process that was started has ended when this returns."""
    logs.configure(settings.log_format)
    os.environ.setdefault("OTEL_SERVICE_NAME", "movierec-endpoint")  # of traces, if there are any
    collect_seldom()  # API processes are forks
    os.register_at_fork(after_in_child=die_with_parent)  # the manager, and each API process
    server = build_server(settings)
    ending = _end_on_signal(server)
    logging.getLogger("litserve.server").addFilter(_but_the_end_of_the_manager(ending))
    logger.info(
        "http://%s:%d serves %s", settings.serving_host, settings.serving_port, settings.store
    )
    if settings.object_store is None:
        begin_on_production(settings.store, server.holder.pointer)
    server.holder.blocklist.forget_looks()
    server.holder.begin_events()
    try:
        with following(settings):
            server.run(
                host=settings.serving_host,
                port=settings.serving_port,
                num_api_servers=settings.serving_api_processes,
                log_level="warning",
                access_log=False,
                server_header=False,
                generate_client_file=False,
            )
    except (EOFError, OSError):
        # The manager is gone, as it is when the whole process group was signalled.
        if not ending.wait(timeout=1):
            raise
    finally:
        kill_children()  # none, unless LitServe failed while it started them


def _but_the_end_of_the_manager(ending: threading.Event) -> Callable[[logging.LogRecord], bool]:
    """A filter of LitServe's log: its monitor calls it a crash that the manager is gone, which it
    is when the whole process group was told to end.
    """

    def wanted(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not (isinstance(error, OSError | EOFError) and ending.wait(timeout=1))

    return wanted


def _end_on_signal(server: ls.LitServer) -> threading.Event:
    """Let SIGTERM and SIGINT end the server in the order it knows, also while it starts.

    By itself LitServe would orphan its children on SIGTERM. An exception raised by the handler is
    no way out: between two forks it can be swallowed, or hide a child that has just been started.
    """
    main = os.getpid()
    ending = threading.Event()
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()  # its put is safe inside a handler

    def note(number: int, frame: FrameType | None) -> None:
        # A forked API process, before uvicorn listens for signals or when it is done.
        if os.getpid() != main:
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
        """Tell the server by the manager. It may be gone, which ends the server, too, or hang."""
        while server._shutdown_event is None:
            time.sleep(0.05)
        with suppress(OSError, EOFError):
            server._shutdown_event.set()

    threading.Thread(target=end, name="end", daemon=True).start()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, note)
    return ending
