"""The endpoint's API processes: none is missed when it dies.

What a connection may do is `connections.py`'s; LitServe itself starts and replaces the workers.
"""

import logging
import multiprocessing
import socket
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from typing import Any

import litserve as ls  # type: ignore[import-untyped]
import uvicorn
from starlette.types import ASGIApp

from movierec_serving.model.holder import ModelHolder
from movierec_serving.runtime.connections import (
    PatientProtocol,
    PatientServer,
    most_connections,
)

logger = logging.getLogger(__name__)

PAUSE = 0.5  # seconds before a process is replaced: one that dies at once must not keep a core busy


class LastingServer(ls.LitServer):  # type: ignore[misc]
    """LitServe, with API processes that are replaced when they die, as its workers are."""

    holder: ModelHolder
    served: ASGIApp  # the app within its middleware

    def _start_server(
        self,
        port: int,
        number: int,
        log_level: str,
        sockets: list[socket.socket],
        kind: str,
        **options: Any,
    ) -> dict[int, ForkProcess]:
        def start(index: int) -> ForkProcess:
            self.app.response_queue_id = index  # by it the process finds its queue, once forked
            config = uvicorn.Config(
                self.served,
                http=PatientProtocol,
                log_level=log_level,
                log_config=None,  # as all else: logs.py
                proxy_headers=False,  # nobody asks for whom a proxy speaks
                timeout_graceful_shutdown=self.uvicorn_graceful_timeout,
                **options,
            )

            def run() -> None:
                self.holder.open_early()
                config.limit_concurrency = most_connections()
                PatientServer(config).run(sockets)

            process = multiprocessing.get_context("fork").Process(target=run, name=f"api-{index}")
            process.start()
            return process

        processes = {index: start(index) for index in range(number)}
        threading.Thread(target=self._replace_dead, args=(processes, start), daemon=True).start()
        return processes

    def _replace_dead(
        self, processes: dict[int, ForkProcess], start: Callable[[int], ForkProcess]
    ) -> None:
        pause = threading.Event()
        try:
            while True:
                wait([process.sentinel for process in processes.values()])
                if self._shutdown_event.wait(PAUSE):
                    break
                for index, process in processes.items():
                    if not process.is_alive():
                        logger.error("%s (%s) died: replaced", process.name, process.exitcode)
                        processes[index] = start(index)
        except (OSError, EOFError):
            pass  # the manager is gone, so the server ends
        pause.wait()  # a child is told of its parent's death when the thread that started it ends
