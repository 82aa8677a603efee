"""Install a lock file into the environment that runs this, by uv, honouring what pip is told.

`python deploy/install.py requirements.lock`; standard library only, since nothing is installed yet.
With `--no-checkout` it leaves this checkout itself to the caller, as the Containerfile does.
uv itself is in the lock: pip installs it first and checks its hash as well. uv then installs the
rest several times faster than pip. uv does not read pip's configuration, so an index, a
certificate or a folder of wheels that is set for pip is handed on; neither is written down here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

# pip's setting -> uv's variable; the second value joins several of pip's, which are on lines.
SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
}
PATHS = {"find-links", "cert"}  # these may name what is on this machine


def pip_settings() -> dict[str, str]:
    """Read pip's settings from its files and its environment; the later of two wins, as in pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    scopes: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in lines:
        match = re.fullmatch(r"(global|install|:env:)\.([a-z-]+)='(.*)'", line)
        if match:
            scopes[match[1]][match[2]] = match[3].replace("\\n", "\n")
    return scopes["global"] | scopes["install"] | scopes[":env:"]


def uv_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Say in uv's variables what pip's settings say; a variable that is set already stays."""
    variables = {
        "UV_COMPILE_BYTECODE": "1",
        "UV_LINK_MODE": "copy",
        # As pip does: all indexes are asked. The hashes of the lock decide what is taken.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    for name, (variable, separator) in SETTINGS.items():
        values = settings.get(name, "").split()
        if name in PATHS:
            values = [value for value in values if _exists(value)]
        if values and not os.environ.get(variable):
            variables[variable] = separator.join(values)
    return variables


def _exists(place: str) -> bool:
    """Leave out a local folder that is not there: pip only warns of it, uv fails."""
    path = place.removeprefix("file://")
    return "://" in path or Path(path).exists()


def block_of(package: str, lock: Path) -> str:
    """Cut one package with its hashes out of a lock file."""
    text = lock.read_text(encoding="utf-8")
    match = re.search(rf"^{package}==[^\\\n]*(?:\\\n[^\\\n]*)*", text, re.M)
    if match is None:
        raise SystemExit(f"{lock}: has no {package}")
    return match[0] + "\n"


def main(lock: Path, *, checkout: bool = True) -> None:
    """Install uv by pip, then everything by uv, then this checkout itself."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    with tempfile.TemporaryDirectory() as folder:
        only_uv = Path(folder) / "uv.txt"
        only_uv.write_text(block_of("uv", lock), encoding="utf-8")
        command = [*pip, "--no-deps", "--require-hashes", "-r", str(only_uv)]
        subprocess.run(command, env=environment, check=True)
    environment |= uv_environment(pip_settings())
    uv = [sys.executable, "-m", "uv", "--quiet", "pip", "install", "--python", sys.executable]
    command = [*uv, "--no-deps", "--require-hashes", "-r", str(lock)]
    subprocess.run(command, env=environment, check=True)
    if checkout:
        command = [*uv, "--no-deps", "--no-build-isolation", "--editable", "."]
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), checkout="--no-checkout" not in sys.argv[2:])
    except subprocess.CalledProcessError as failed:
        tool = "uv" if "uv" in failed.cmd else "pip"
        raise SystemExit(
            f"set-up: {tool} could not install {sys.argv[1]}; it says why above. The packages come "
            "from the package index that pip is set to. Where there is no internet, set pip's "
            "index-url to a mirror, or find-links to a folder of wheels, and run this again"
        ) from None
