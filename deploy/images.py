"""Build the images from this checkout with buildah: `python -m deploy.images [serving pipeline]`.

What an image holds is the Containerfile's; standard library only. `MOVIEREC_BASE` names a base
that a registry has, such as `python:3.11-slim`; without it `base.sh` makes one of Debian's
packages. Images are `localhost/movierec-serving:VERSION` and `localhost/movierec-pipeline:VERSION`;
`MOVIEREC_IMAGES` says something else than `localhost/movierec`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from deploy.install import PATHS, pip_settings

ROOT = Path(__file__).parents[1]
TARGETS = ("serving", "pipeline")
BASE = ROOT / "deploy" / "base.sh"
LABELS = "org.opencontainers.image"
NOT_FOR_IMAGES = {"constraint", "disable-pip-version-check"}  # of pip's settings


def named(target: str) -> str:
    """The name of an image."""
    return f"{os.environ.get('MOVIEREC_IMAGES', 'localhost/movierec')}-{target}:{version()}"


def debian() -> str:
    """The base of Debian's packages, named by how it is made: another recipe makes another one."""
    return f"localhost/movierec-base:{sha256(BASE.read_bytes()).hexdigest()[:12]}"


def version() -> str:
    """The version that the images are tagged with, which is pyproject's."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def revision() -> str:
    """The commit of this checkout; it says so if files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty"]
    described = subprocess.run(command, capture_output=True, text=True, check=False)
    return described.stdout.strip() or "unknown"


def pip_configuration(settings: Mapping[str, str]) -> str:
    """A pip.conf with what pip is told here."""
    lines = [
        f"{name} = {' '.join(value.split())}"
        for name, value in settings.items()
        if name not in NOT_FOR_IMAGES
    ]
    return "\n".join(["[global]", *lines, ""])


def folders(settings: Mapping[str, str]) -> Iterator[str]:
    """What pip's settings name on this machine: a build must see it at the same path.

    An index in a folder refers to files beside it, so its parent is named.
    """
    for name, value in settings.items():
        for place in value.split():
            if place.startswith("file://"):
                path = Path(place.removeprefix("file://")).parent
            elif name in PATHS and "://" not in place:
                path = Path(place)
            else:
                continue
            if path.is_absolute() and path.exists():
                yield str(path)


def labelled(target: str) -> str:
    """The Containerfile, and after it a stage that puts version and commit on the target.

    They stand in its text, since buildah 1.28 forgets a `--label` where it kept every layer: an
    image after a change of documents alone would name the commit before it.
    """
    text = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
    labels = f"{LABELS}.version={version()} {LABELS}.revision={revision()}"
    return f"{text}\nFROM {target} AS labelled\nLABEL {labels}\n"


def build(target: str, base: str, secret: Path, mounted: list[str]) -> str:
    """Build one of the two; its name."""
    name = named(target)
    recipe = secret.with_name("Containerfile")
    recipe.write_text(labelled(target), encoding="utf-8")
    command = [
        *("buildah", "build", "--format", "docker", "--isolation", "chroot", "--layers"),
        *("--file", str(recipe), "--target", "labelled"),
        *("--ignorefile", str(ROOT / "deploy" / "Containerfile.dockerignore")),
        *("--build-arg", f"BASE={base}", "--secret", f"id=pip,src={secret}"),
        *(f"--volume={path}:{path}:ro" for path in mounted),
        *("--tag", name, str(ROOT)),
    ]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return name


def main(targets: list[str]) -> None:
    """Make the base if none was named, then build each target."""
    base = os.environ.get("MOVIEREC_BASE", "")
    if not base:
        base = debian()
        subprocess.run([str(BASE), base], check=True)
    settings = pip_settings()
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder) / "pip.conf"
        secret.write_text(pip_configuration(settings), encoding="utf-8")
        for target in targets:
            name = build(target, base, secret, sorted(set(folders(settings))))
            sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    if unknown := set(sys.argv[1:]) - set(TARGETS):
        sys.exit(f"no such image: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    main(sys.argv[1:] or list(TARGETS))
