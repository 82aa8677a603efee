"""The process that follows the object store, kept alive beside the server's."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from movierec_serving.settings import ServingSettings

logger = logging.getLogger(__name__)

PAUSE = 1.0  # seconds before it is replaced: one that dies at once must not keep a core busy


@contextmanager
def following(settings: ServingSettings) -> Iterator[None]:
    """Let a follower run until the block ends; nothing where there is no object store.

    A process of its own, since a connection to a store does not outlive the forks of the server.
    """
    if settings.object_store is None:
        yield
        return
    ending, turn = threading.Event(), threading.Lock()
    running: set[int] = set()

    def keep() -> None:
        while not ending.is_set():
            with turn:
                running.add(pid := _start(settings.serving_port))
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            with turn:  # until here its number is nobody else's
                running.remove(pid)
                _, status = os.waitpid(pid, 0)
            if not ending.wait(PAUSE):
                code = os.waitstatus_to_exitcode(status)
                logger.error("the follower ended with %d: replaced", code)

    thread = threading.Thread(target=keep, name="following", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        with turn:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
        thread.join()


def _start(port: int) -> int:
    """The id of a new follower's process.

    `subprocess` waits for a pipe to be closed, which a process that LitServe forks at the same time
    would keep open for ever.
    """
    module = ("-m", "movierec_serving.model.follower")
    command = [sys.executable, *module, str(os.getpid()), str(port)]
    return os.posix_spawn(sys.executable, command, os.environ)
