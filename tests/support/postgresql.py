"""A PostgreSQL server of the tests' own, where Debian's package is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.endpoint_process import free_port, wait_for

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
OWNER = "postgres"  # the server refuses to run as root


def missing() -> str | None:
    """Why no server can be started here; None where one can."""
    if not PROGRAMS:
        return "PostgreSQL is not installed (Debian: postgresql)"
    if os.getuid() == 0 and OWNER not in {user.pw_name for user in pwd.getpwall()}:
        return "PostgreSQL does not run as root, and there is no user postgres"
    return None


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database, on a free port, until the end."""
    folder = Path(tempfile.mkdtemp(prefix="movierec-postgresql-"))
    user: dict[str, str | int] = {}
    if os.getuid() == 0:
        shutil.chown(folder, OWNER)
        user = {"user": OWNER}
    bin_, data, port = PROGRAMS[-1], folder / "data", free_port()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    command = [bin_ / "initdb", "-D", data, "-U", OWNER, "--auth=trust", "-E", "UTF8"]
    subprocess.run(command, check=True, **quiet, **user)  # type: ignore[call-overload]
    options = ["-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1"]
    server = subprocess.Popen([bin_ / "postgres", "-D", data, *options], **quiet, **user)  # type: ignore[call-overload]
    url = f"postgresql://{OWNER}@127.0.0.1:{port}/postgres"
    try:
        wait_for(lambda: _answers(url), "PostgreSQL answers")
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # at once, whoever is connected
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(url: str) -> bool:
    import psycopg2

    try:
        psycopg2.connect(url, connect_timeout=1).close()
    except psycopg2.OperationalError:
        return False
    return True
