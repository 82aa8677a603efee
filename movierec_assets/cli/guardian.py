"""Ends what `movierec up` has started if `up` itself is killed and can no longer do so.

A process of its own that waits for the other end of a pipe to close, which a kill closes, too.
Standard library alone: it costs 10 MB. What it is told stands in `Guardian`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

STOP_S = 12.0  # from SIGTERM to SIGKILL, as `up` gives
LOOK_S = 0.1


class Guardian:
    """The other process, as `up` sees it. Leaving the block dismisses it."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is not for it
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def guard(self, group: int) -> None:
        """Let it end this group of processes, should this process be killed."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # somebody has killed it: no reason to stop
            self._process.stdin.write(f"{group}\n")
            self._process.stdin.flush()


def main() -> None:
    """Read the groups until the pipe closes, then end them."""
    groups = [int(line) for line in sys.stdin]
    _signal(groups, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while _signal(groups, 0) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    _signal(groups, signal.SIGKILL)


def _signal(groups: list[int], number: int) -> bool:
    """Send a signal to each group; whether there was one with a process in it."""
    signalled = False
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
            signalled = True
    return signalled


if __name__ == "__main__":
    main()
