"""Debian's nginx with the configuration that the containers have, on loopback ports."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from demo.processes import running, wait_until
from tests.conftest import ROOT

TEMPLATES = ROOT / "deploy"
AROUND = """
user root root; daemon off; pid {folder}/nginx.pid; error_log stderr warn; worker_processes 1;
events {{ worker_connections 256; }}
http {{ access_log off; {bodies} include {folder}/movierec.conf; }}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def certificate(folder: Path, days: int = 1) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself and ends after `days`, and its key."""
    pem, key = folder / "certificate.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
    ]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-days", str(days), "-nodes", "-keyout", str(key), "-out", str(pem)]
    subprocess.run([*command, *name, *files], check=True, capture_output=True)
    return pem, key


def user_file(folder: Path, name: str, password: str) -> Path:
    """One user, as htpasswd writes it."""
    command = ["openssl", "passwd", "-apr1", password]
    digest = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    file = folder / "users"
    file.write_text(f"{name}:{digest}\n", encoding="ascii")
    file.chmod(0o644)
    return file


@contextmanager
def nginx(
    folder: Path, values: Mapping[str, object], template: str = "nginx/movierec.conf.template"
) -> Iterator[None]:
    """nginx by a template, the names in braces filled in; it listens when the block begins."""
    if shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        pytest.skip("needs Debian's package nginx")
    given = {name: str(value) for name, value in values.items()}
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    for name, value in given.items():  # as envsubst does: nginx's own variables have no braces
        text = text.replace("${" + name + "}", value)
    assert "${" not in text
    (folder / "movierec.conf").write_text(text, encoding="utf-8")
    bodies = " ".join(f"{one}_temp_path {folder}/{one};" for one in TEMPORARY)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, bodies=bodies))
    command = ["/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with running("nginx", command, folder / "nginx.log", {}, folder) as process:
        for name in given.keys() & {"API_LISTEN", "DAGSTER_LISTEN", "MLFLOW_LISTEN"}:
            wait_until(lambda name=name: _listens(given[name]), "nginx listens", 60, process)
        yield


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with closing(socket.socket()) as probe:
        return probe.connect_ex((host, int(port))) == 0
