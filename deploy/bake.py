"""`make images MODEL=15`: the serving image with one version in it, for who deploys by image.

The image is asked before it gets its name: it runs as it will in production, and its lists are
compared with what the model's factors say, and measured on the days since. `serving` is built
first, by `images.py`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

from demo.processes import free_port
from deploy.images import ROOT, named
from movierec_assets.defs.monitoring.live import compare
from movierec_assets.defs.shared.accuracy import measure, since_served
from movierec_assets.errors import EndpointError
from movierec_assets.platform import Platform, wired
from movierec_assets.resources.serving_client import ServingClient
from movierec_serving.bundle.production import FILE

STORE = "/srv/movierec/warehouse/models"
STARTS_S = 60.0
RUN = [
    *("--detach", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"),
    *("--memory", "1g", "--tmpfs", "/tmp"),  # noqa: S108 - the container's
]


def say(*command: str) -> str:
    """Run a command; what it printed."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def with_model(folder: Path) -> str:
    """Commit an image that has a published version and begins with it; the image's id."""
    container = say("buildah", "from", named("serving"))
    try:
        with tempfile.TemporaryDirectory() as beside:
            begins_with = Path(beside) / FILE
            begins_with.write_text(f"{folder.name}\n", encoding="ascii")
            owned = ("buildah", "copy", "--quiet", "--chown", "10001:10001", container)
            say(*owned, str(folder), f"{STORE}/{folder.name}")
            say(*owned, str(begins_with), f"{STORE}/{FILE}")
        say("buildah", "config", "--label", f"movierec.model={folder.name}", container)
        return say("buildah", "commit", "--quiet", "--format", "docker", container)
    finally:
        say("buildah", "rm", container)


@contextmanager
def running(image: str, port: int) -> Iterator[ServingClient]:
    """A container of the image, once it serves a version; removed at the end.

    Raises:
        EndpointError: it does not within a minute.
    """
    podman = str(ROOT / "deploy" / "podman.sh")
    given = ("--env", f"MOVIEREC_SERVING_PORT={port}", "--publish", f"127.0.0.1:{port}:{port}")
    container = say(podman, "run", *RUN, *given, image)
    try:
        url, deadline = f"http://127.0.0.1:{port}", monotonic() + STARTS_S
        client = ServingClient((url,))
        while not _serves(client, url):
            if monotonic() > deadline:
                raise EndpointError(f"serves nothing: {say(podman, 'logs', container)}")
            sleep(0.2)
        yield client
    finally:
        say(podman, "rm", "--force", "--volumes", container)


def _serves(client: ServingClient, url: str) -> bool:
    try:
        return client.served(url) is not None
    except EndpointError:
        return False


def asked(platform: Platform, client: ServingClient) -> list[str]:
    """What was found when the container was asked, in words.

    Raises:
        EndpointError: its lists are not the model's, or worse than popular movies.
    """
    platform = replace(platform, serving_client=client)
    outcomes = [compare(platform)]
    since = since_served(platform)
    if since is not None:
        outcomes.append(measure(platform.warehouse, since))
    for outcome in outcomes:
        if not outcome.passed:
            raise EndpointError(outcome.why)
    return [outcome.why for outcome in outcomes]


def bake(platform: Platform, number: int, port: int) -> str:
    """Build, ask, and only then tag; the image's name.

    Raises:
        EndpointError: the container does not serve the version as it should; nothing is tagged.
    """
    folder = Path(platform.published_models.path) / str(number)
    if not folder.is_dir():
        raise EndpointError(f"version {number} is not published: {folder} is not there")
    image = with_model(folder)
    with running(image, port) as client:
        for line in asked(platform, client):
            sys.stdout.write(f"{line}\n")
    name = f"{named('serving')}-model-{number}"
    say("buildah", "tag", image, name)
    return name


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{bake(wired(), int(sys.argv[1]), free_port())}\n")
    except (EndpointError, subprocess.CalledProcessError) as error:
        sys.exit(f"images: {error} {getattr(error, 'stderr', '')}".rstrip())
