"""Debian's PostgreSQL, a server of its own on loopback with databases for a test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.processes import free_port

PASSWORD = "of-the-tests"
INSTALLED = Path("/usr/lib/postgresql")


@contextmanager
def postgres(*databases: str) -> Iterator[str]:
    """A server with these databases, all owned by `movierec`; its `host:port`, and it asks for the
    password.
    """
    found = sorted(INSTALLED.glob("*/bin"), key=lambda one: int(one.parent.name))
    if not found:
        pytest.skip("needs Debian's package postgresql")
    programs, port = found[-1], str(free_port())
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # pytest's own folders are root's alone
    folder.chmod(0o755)
    data = folder / "data"
    data.mkdir()
    password = folder / "password"
    password.write_text(PASSWORD)
    as_user: tuple[str, ...] = ()
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        as_user = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
        for path in (data, password):
            shutil.chown(path, "postgres", "postgres")

    def run(*command: str) -> None:
        program = [*as_user, str(programs / command[0]), *command[1:]]
        said = subprocess.run(program, cwd=data, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout + said.stderr

    made = ("--username=movierec", "--auth=scram-sha-256", f"--pwfile={password}")
    run("initdb", f"--pgdata={data}", *made, "--no-sync", "--encoding=UTF8")
    options = (
        f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    )
    server = ("pg_ctl", f"--pgdata={data}", "--wait")
    run(*server, f"--log={data / 'log'}", f"--options={options}", "start")
    try:
        for name in databases:
            login = ("--host=127.0.0.1", f"--port={port}", "--username=movierec")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PGPASSWORD", PASSWORD)
                run("createdb", *login, name)
        yield f"127.0.0.1:{port}"
    finally:
        run(*server, "--mode=immediate", "stop")
        shutil.rmtree(folder)
