"""The serving image, built and run by Debian's programs. Where no base is kept one has to ask."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from demo.processes import free_port
from deploy import images
from movierec_serving.bundle import Movie
from tests.conftest import Platform
from tests.support import sample_models as models
from tests.support.endpoint_process import TOKEN, wait_for

PODMAN = str(images.ROOT / "deploy" / "podman.sh")
NOT_IN_SERVING = {"dagster", "mlflow", "pandas", "duckdb", "implicit", "scipy", "pip", "uv"}


def said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout.strip()


def why_not() -> str:
    """Why no image is built here, in words; empty where one is."""
    missing = [name for name in ("buildah", "podman") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        return f"needs {' and '.join(missing) or 'root'}"
    if os.environ.get("MOVIEREC_TEST_IMAGES") == "1":
        return "" if shutil.which("mmdebstrap") else "needs mmdebstrap"
    kept = subprocess.run(
        ["buildah", "inspect", "--type", "image", images.debian()], capture_output=True
    )
    if kept.returncode:
        return "no base image is kept, and to make one takes minutes: MOVIEREC_TEST_IMAGES=1 does"
    return ""


@pytest.fixture(scope="module")
def serving() -> Iterator[str]:
    """The serving image of this checkout, by a name of the tests' own."""
    if reason := why_not():
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("MOVIEREC_IMAGES", "localhost/movierec-of-the-tests")
        images.main(["serving"])
        yield images.named("serving")


@pytest.fixture
def container(serving: str, tmp_path: Path) -> Iterator[tuple[str, httpx.Client]]:
    """A running container as compose.yaml runs it, with versions 1 and 2 in its store."""
    store = tmp_path / "models"
    for number in (1, 2):
        models.publish_version(store, number)
    for path in (tmp_path, store, *store.rglob("*")):
        os.chown(path, 10001, 10001)
    port = free_port()
    number = said(
        *(PODMAN, "run", "--detach", "--read-only", "--cap-drop", "all", "--memory", "512m"),
        *("--security-opt", "no-new-privileges", "--tmpfs", "/tmp"),
        *("--env", f"MOVIEREC_SERVING_PORT={port}", "--env", f"MOVIEREC_RELOAD_TOKEN={TOKEN}"),
        *("--volume", f"{store}:/srv/movierec/warehouse/models", serving),
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            wait_for(lambda: answers(client), "the container answers")
            yield number, client
    finally:
        said(PODMAN, "rm", "--force", "--volumes", number)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live").status_code == 200
    except httpx.TransportError:
        return False


def test_the_serving_image_reloads_answers_and_stops(container: tuple[str, httpx.Client]) -> None:
    number, client = container
    for version in (1, 2):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert client.post("/reload", json={"version": version}, headers=headers).json()["changed"]
        assert client.get("/recommend/u1").json()["model_version"] == version
        assert client.post("/recommend", json={"user_id": "u1"}).json()["model_version"] == version
    assert said(PODMAN, "healthcheck", "run", number) == ""
    assert said(PODMAN, "exec", number, "id", "-u") == "10001"
    refused = "open('/srv/movierec/x', 'w')"
    wrote = subprocess.run([PODMAN, "exec", number, "python", "-c", refused], capture_output=True)
    assert b"Read-only file system" in wrote.stderr
    said(PODMAN, "stop", "--time", "15", number)
    assert said(PODMAN, "inspect", "--format", "{{.State.ExitCode}}", number) == "0"


def test_the_serving_image_has_what_serving_needs_and_says_what_it_is(serving: str) -> None:
    listed = "from importlib.metadata import distributions as d; print(*(x.name for x in d()))"
    packages = set(said(PODMAN, "run", "--rm", serving, "python", "-c", listed).split())
    assert {"movierec", "litserve", "numpy"} <= packages
    assert packages & NOT_IN_SERVING == set()
    labels = json.loads(said("podman", "inspect", serving))[0]["Labels"]
    assert labels["org.opencontainers.image.version"] == images.version()
    assert labels["org.opencontainers.image.revision"] == images.revision()


def test_a_version_in_an_image_is_asked_before_it_is_tagged(
    serving: str, platform: Platform
) -> None:
    from deploy.bake import bake

    platform.deliver("1997-09-20", "1997-09-21", ratings=1500)
    assert platform.run("-", job="catalogue").success
    assert platform.run("1997-09-20", "1997-09-21").success
    version = platform.model_registry.get(2)
    movies = {key: Movie(key, title, tuple(of)) for key, title, of in platform.warehouse.movies()}
    bundle = platform.bundle_store.served(version.identity)
    platform.wired.published_models.publish(bundle, 2, movies)
    name = bake(platform.wired, 2, free_port())
    try:
        assert name == f"{serving}-model-2"
        assert json.loads(said("podman", "inspect", name))[0]["Labels"]["movierec.model"] == "2"
    finally:
        said("buildah", "rmi", name)
