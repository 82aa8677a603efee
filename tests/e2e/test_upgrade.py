"""A home that 0.2.0 left, taken over by this version: nothing is lost, it goes on, and goes back.

`tests/data/README.md` says what is in it. It is unpacked at another path than it was made at.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from demo.processes import free_port
from movierec_assets.cli.setup import set_up
from movierec_assets.cli.verify import verify
from movierec_assets.settings import settings
from movierec_assets.training.machine import blas_kernel
from tests.conftest import ROOT, Platform, empty_home, settle
from tests.support.endpoint_process import EndpointProcess, wait_for
from tests.support.generate import as_csv, ratings_of_day

DATA = ROOT / "tests" / "data"
KEPT: dict[str, Any] = json.loads((DATA / "home-0.2.0.json").read_text())
COLUMNS = (
    "sha256",
    "file",
    "verdict",
    "reason",
    "rows",
    "validated",
    "rejected",
    "superseded",
    "late",
)
NEXT_DAY = "1998-04-03"
RELEASE = "0a61406"  # the commit of 0.2.0
COMMAND = "import sys, movierec_assets.cli as cli; cli.main()"


@pytest.fixture
def upgraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """The home after this version's set-up."""
    folder = empty_home(tmp_path / "another place")
    with tarfile.open(DATA / "home-0.2.0.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    settle(folder, monkeypatch)
    set_up(folder)
    with dg.DagsterInstance.get() as instance:
        yield Platform(folder, instance)
    settings.cache_clear()


def test_nothing_of_a_home_of_0_2_0_is_lost(upgraded: Platform) -> None:
    expected = {**KEPT["tables"], "validated_ratings": _rows_of_accepted_days()}
    del expected["migrations"]
    counts = {table: upgraded.query(f"SELECT count(*) FROM {table}")[0][0] for table in expected}
    assert counts == expected
    ledger = {
        day: [[getattr(chunk, column) for column in COLUMNS] for chunk in chunks]
        for day, chunks in upgraded.warehouse.chunks().items()
    }
    assert ledger == {
        day: [[chunk[column] for column in COLUMNS] for chunk in chunks]
        for day, chunks in KEPT["chunks"].items()
    }
    models = {day: vars(model) for day, model in upgraded.warehouse.models().items()}
    assert models == {day: {**model, "arm": "als"} for day, model in KEPT["models"].items()}
    versions = {str(one.number): dict(one.tags) for one in upgraded.model_registry.versions()}
    assert versions == KEPT["versions"]
    production = upgraded.model_registry.production()
    assert production is not None
    assert (production.number, production.pinned) == (KEPT["production"], "complaints about 6")
    digests = {
        name: hashlib.sha256((upgraded.root / name).read_bytes()).hexdigest()
        for name in KEPT["sha256"]
    }
    assert digests == KEPT["sha256"]


def _rows_of_accepted_days() -> int:
    """The table had a refused day's valid rows as well; they are still in `raw_ratings`."""
    chunks = [chunk for of_day in KEPT["chunks"].values() for chunk in of_day]
    return sum(
        chunk["validated"]
        for chunk in chunks
        if chunk["current"] and chunk["verdict"] == "accepted"
    )


def test_what_dagster_recorded_under_0_2_0_is_still_there(upgraded: Platform) -> None:
    runs = Counter(f"{one.job_name} {one.status.value}" for one in upgraded.instance.get_runs())
    assert runs == KEPT["runs"]
    counts = {asset: len(upgraded.events(asset)) for asset in KEPT["materializations"]}
    assert counts == KEPT["materializations"]
    moves = [event.metadata for event in upgraded.events("production_model")]
    assert [{key: entry.value for key, entry in one.items()} for one in moves] == KEPT[
        "production_moves"
    ]


def test_versions_of_0_2_0_are_rebuilt_bit_by_bit(upgraded: Platform) -> None:
    for number in sorted(map(int, KEPT["versions"])):
        for rebuilt in verify(settings(), number):
            here = rebuilt.manifest.blas == blas_kernel()
            assert rebuilt.identical if here else rebuilt.sound, str(rebuilt)


def test_a_home_of_0_2_0_serves_at_once_trains_the_next_day_and_serves_that(
    upgraded: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    for file in (upgraded.root / "models").glob(".serving-8000*"):  # the same port as before
        file.rename(file.with_name(file.name.replace("8000", str(port))))
    token = settings().reload_token
    assert token is not None
    endpoint = EndpointProcess(upgraded.home, token.get_secret_value(), port).start()
    try:
        assert endpoint.client.get("/model").json()["version"] == KEPT["served"]
        for user in ("u1", "u2"):
            answer = endpoint.client.get(f"/recommend/{user}", params={"n": 5}).json()
            movies = [one["movie_id"] for one in answer["items"]]
            assert (answer["source"], movies) == (
                KEPT["answers"][user]["source"],
                KEPT["answers"][user]["movies"],
            )
        upgraded.landing_zone.deliver(NEXT_DAY, as_csv(ratings_of_day(NEXT_DAY)))
        assert upgraded.run(NEXT_DAY).success
        newest = upgraded.model_registry.versions()[-1]
        assert (newest.number, newest.gate) == (len(KEPT["versions"]) + 1, "passed")
        pinned = KEPT["production"]
        assert upgraded.model_registry.production().number == pinned  # a pin outlives an upgrade
        upgraded.model_registry.change("unpin", pinned, "7 is better")
        monkeypatch.setenv("MOVIEREC_ENDPOINTS", endpoint.url)
        settings.cache_clear()
        assert upgraded.run("-", job="deploy").success
        served = wait_for(lambda: endpoint.client.get("/model").json(), "an answer")
        assert (served["version"], served["identity"]) == (newest.number, newest.identity)
        user = endpoint.client.get("/recommend/u1", params={"n": 80}).json()
        assert {one["movie_id"] for one in user["items"]}.isdisjoint(KEPT["blocked"])
    finally:
        endpoint.close()


@pytest.fixture
def old_program(tmp_path: Path) -> Path:
    """The checkout of 0.2.0, with the home's settings and stores still to come."""
    command = ["git", "-C", str(ROOT), "archive", RELEASE]
    archived = subprocess.run(command, capture_output=True, check=False)
    if archived.returncode:
        pytest.skip(f"this clone does not have 0.2.0, commit {RELEASE}")
    folder = tmp_path / "of 0.2.0"
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def by_old(program: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of 0.2.0 in a home."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MOVIEREC_", "DAGSTER_"))}
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(program / name, home)
    shutil.copytree(program / "warehouse", home / "warehouse", dirs_exist_ok=True)
    named = {
        "PYTHONPATH": str(program),
        "PYTHONWARNINGS": "ignore",
        "DAGSTER_HOME": str(home),
        "MOVIEREC_HOME": str(home),
        "MOVIEREC_DAGSTER_DIR": str(home / "warehouse" / "dagster"),
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=home,
        env={**kept, **named},
        capture_output=True,
        text=True,
        check=False,
    )


def test_0_2_0_refuses_an_upgraded_home_and_goes_on_with_the_copy_made_before(
    old_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = empty_home(tmp_path / "another place")
    with tarfile.open(DATA / "home-0.2.0.tar.xz") as archive:
        archive.extractall(home, filter="data")
    before = by_old(old_program, home, "-c", COMMAND, "status")
    assert "1998-04-01 │ version 3, pinned: complaints about 6" in before.stdout
    copy = tmp_path / "copy"
    shutil.copytree(home, copy, symlinks=True)

    shutil.copy(ROOT / "dagster.yaml", home)
    settle(home, monkeypatch)
    set_up(home)
    settings.cache_clear()
    upgraded = (home / "warehouse" / "movierec.duckdb").read_bytes()
    refused = by_old(old_program, home, "-c", COMMAND, "status")
    assert refused.returncode != 0
    said = " ".join(refused.stderr.split())
    assert "this movierec knows 4: upgrade movierec, the file was not touched" in said
    assert (home / "warehouse" / "movierec.duckdb").read_bytes() == upgraded

    shutil.rmtree(home)
    copy.rename(home)
    assert by_old(old_program, home, "-c", COMMAND, "status").stdout == before.stdout
