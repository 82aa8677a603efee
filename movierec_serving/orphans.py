"""No process of the endpoint is left when the one that started it is gone."""

import ctypes
import multiprocessing
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(pid: int | None = None) -> None:
    """Called in a child: be killed by the kernel when the parent ends in a way that it cannot
    handle.

    Args:
        pid: the parent's, where multiprocessing does not know it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    ended = os.getppid() != pid if pid is not None else parent is not None and not parent.is_alive()
    if ended:  # before the kernel was told
        os._exit(1)


def kill_children() -> None:
    for child in multiprocessing.active_children():
        child.kill()
        child.join()
