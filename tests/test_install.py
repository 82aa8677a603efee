"""Set-up's installer: what it cuts out of a lock, and what it hands on from pip to uv."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.install import block_of, uv_environment

ROOT = Path(__file__).parents[1]
LOCK = """\
ruff==0.14.6 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
uv==0.9.11 ; python_full_version >= '3.11' \\
    --hash=sha256:cc \\
    --hash=sha256:dd
uvicorn==0.38.0 \\
    --hash=sha256:ee
"""
VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "UV_INSECURE_HOST", "SSL_CERT_FILE")


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """None of uv's variables is set."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_package_is_cut_out_with_its_hashes_alone(tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text(LOCK)
    assert block_of("uv", lock) == (
        "uv==0.9.11 ; python_full_version >= '3.11' \\\n"
        "    --hash=sha256:cc \\\n"
        "    --hash=sha256:dd\n"
    )
    with pytest.raises(SystemExit, match=r"some\.lock: has no pip"):
        block_of("pip", lock)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_each_lock_brings_uv_itself(name: str) -> None:
    block = block_of("uv", ROOT / name)
    assert block.startswith("uv==")
    assert "--hash=sha256:" in block


def test_what_pip_is_told_is_said_to_uv(unset: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = {
        "index-url": "https://packages.example/simple",
        "extra-index-url": "\nhttps://one.example/simple\nhttps://two.example/simple",
        "find-links": f"{tmp_path}\n{tmp_path}/not-there\nhttps://wheels.example",
        "trusted-host": "packages.example",
        "cert": "/not/there.pem",
        "timeout": "60",
    }
    said = uv_environment(told)
    assert said["UV_DEFAULT_INDEX"] == "https://packages.example/simple"
    assert said["UV_INDEX"] == "https://one.example/simple https://two.example/simple"
    # pip only warns of a folder that is not there, where uv would stop.
    assert said["UV_FIND_LINKS"] == f"{tmp_path},https://wheels.example"
    assert said["UV_INSECURE_HOST"] == "packages.example"
    assert "SSL_CERT_FILE" not in said
    assert said["UV_COMPILE_BYTECODE"] == "1"


def test_what_uv_is_told_itself_stays(unset: pytest.MonkeyPatch) -> None:
    unset.setenv("UV_DEFAULT_INDEX", "https://mine.example/simple")
    assert "UV_DEFAULT_INDEX" not in uv_environment({"index-url": "https://pips.example/simple"})


def test_a_python_without_venv_is_told_what_to_install(tmp_path: Path) -> None:
    python = tmp_path / "python3.11"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    command = ["make", "--silent", "--directory", str(tmp_path), "--file", str(ROOT / "Makefile")]
    for file in ("requirements.lock", "pyproject.toml", "deploy/install.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    done = subprocess.run(
        [*command, "setup", f"PYTHON={python}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "apt install python3.11-venv" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_where_no_index_answers_set_up_ends_with_a_sentence(tmp_path: Path) -> None:
    # A version that is nowhere, in a folder that is no checkout: nothing can be installed here.
    (tmp_path / "some.lock").write_text("uv==0.0.0 --hash=sha256:" + "0" * 64 + "\n")
    nowhere = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "install.py"), "some.lock"],
        env=os.environ | nowhere,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "set-up: pip could not install some.lock; it says why above." in done.stderr
    assert "Traceback" not in done.stderr
