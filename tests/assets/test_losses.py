"""Each store of a home is lost once: what is said, and that what is said heals it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from dotenv import dotenv_values
from typer.testing import CliRunner, Result

from movierec_assets.cli.app import app
from movierec_assets.cli.recovering import all_losses
from movierec_assets.cli.setup import set_up
from movierec_assets.settings import settings
from movierec_serving.bundle import PublishedModel
from tests.conftest import Platform
from tests.support.homes import DAYS, Home, opened, state


def said(platform: Platform) -> list[str]:
    return [str(loss) for loss in all_losses(platform.wired, platform.instance)]


def recover() -> Result:
    return CliRunner().invoke(app, ["recover", "--apply"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("store", "cause"),
    [
        ("nothing", ""),
        ("movierec.duckdb", "5 archived chunks are not in the ledger"),
        ("bundles", "the bundles of 4 versions are missing"),
        ("twins", "the gate has nothing to compare with"),
        ("models", "version 3, production, is not published"),
        ("mlflow.db", "MLflow's registry was lost or replaced: version 4"),
        ("dagster", "Dagster has no event of production, which is version 3"),
    ],
)
def test_a_lost_store_is_named_and_made_again(
    whole: Home, home: Path, monkeypatch: pytest.MonkeyPatch, store: str, cause: str
) -> None:
    shutil.rmtree(home)
    whole.copy(home, without=store)
    with opened(home, monkeypatch) as platform:
        losses = said(platform)
        assert any(cause in line for line in losses) if cause else losses == [], losses
        done = recover()
        assert done.exit_code == 0, done.output
        assert "DEBUG" not in done.output  # the log of a run is for its page
        assert said(platform) == []
        assert state(platform) == whole.state
        production = PublishedModel.open(platform.root / "models", 3, verify=True)
        assert production.bundle.manifest.identity == whole.state["models"][DAYS[2]]
        platform.deliver(day := "1998-04-03")
        assert platform.run(day).success
        assert platform.model_registry.versions()[-1].number == 5


@pytest.mark.parametrize(
    ("store", "cause"),
    [
        ("twins", "the bundle or twin of 1998-04-02's model was lost"),
        ("bundles", "the bundle or twin of 1998-04-02's model was lost"),
        ("mlflow.db", "MLflow's registry was lost or replaced"),
    ],
)
def test_nothing_is_made_in_the_place_of_what_was_lost(
    whole: Home, home: Path, monkeypatch: pytest.MonkeyPatch, store: str, cause: str
) -> None:
    """No cold model for a warm one, no number for another model: the day fails and says why."""
    shutil.rmtree(home)
    whole.copy(home, without=store)
    with opened(home, monkeypatch) as platform:
        platform.model_registry.initialise()
        before = [one.number for one in platform.model_registry.versions()]
        platform.deliver(day := "1998-04-03")
        run = platform.run(day)
        assert not run.success
        failures = [str(event.event_specific_data) for event in run.all_node_events]
        assert any(cause in failure and "movierec recover" in failure for failure in failures)
        assert [one.number for one in platform.model_registry.versions()] == before
        records = platform.model_registry.records
        assert records.numbers() == [1, 2, 3, 4]


def test_a_registry_of_other_models_is_set_aside(
    whole: Home, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An MLflow database of elsewhere has the same numbers, of other models."""
    shutil.rmtree(home)
    whole.copy(home, without="mlflow.db")
    with opened(home, monkeypatch) as platform:
        platform.model_registry.initialise()
        client = platform.model_registry.client()
        for number in range(1, 7):
            tags = {"identity": f"other-{number}", "data_until": DAYS[0], "gate": "passed"}
            client.create_model_version("movierec", source=str(home), tags=tags)
        assert any("version 4 is" in line for line in said(platform))
        assert recover().exit_code == 0
        assert state(platform) == whole.state
        assert len(client.search_model_versions("name='movierec-replaced-1'")) == 6


def test_lost_chunks_are_taken_from_the_landing_zone_and_the_others_are_named(
    whole: Home, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(home)
    whole.copy(home, without="chunks")
    with opened(home, monkeypatch) as platform:
        assert any(
            "5 chunks of the ledger are not in the archive" in line for line in said(platform)
        )
        done = recover()
        assert done.exit_code == 1  # the second day's first delivery lies nowhere any more
        (left,) = said(platform)
        assert f"1 chunks of the ledger are not in the archive, {DAYS[1]}" in left
        assert "deliver the others again" in left
        assert state(platform) == whole.state
        assert platform.chunk_archive.read(DAYS[0], platform.warehouse.chunks()[DAYS[0]][0].sha256)


def test_a_lost_env_is_named_and_set_up_writes_another(
    whole: Home, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(home)
    whole.copy(home)
    with opened(home, monkeypatch) as platform:
        monkeypatch.setenv("MOVIEREC_PARTITION_START", DAYS[2])
        settings.cache_clear()
        (line,) = said(platform)
        assert f".env: 2 days, {DAYS[0]} to {DAYS[1]}, are outside the partitions" in line
        monkeypatch.delenv("MOVIEREC_PARTITION_START")
        monkeypatch.delenv("MOVIEREC_RELOAD_TOKEN")
        settings.cache_clear()
        (line,) = said(platform)
        assert "MOVIEREC_RELOAD_TOKEN is not set" in line
        folder = os.environ["MOVIEREC_DAGSTER_DIR"]
        monkeypatch.delenv("MOVIEREC_DAGSTER_DIR")
        lost = recover()
        assert lost.exit_code == 1
        assert ".env is lost: run `movierec setup`" in lost.stderr
        monkeypatch.setenv("MOVIEREC_DAGSTER_DIR", folder)  # so that it is taken away again
        monkeypatch.setenv("MOVIEREC_RELOAD_TOKEN", "")
        set_up(home)
        assert len(dotenv_values(home / ".env")["MOVIEREC_RELOAD_TOKEN"] or "") > 20
        assert said(platform) == []
        assert state(platform) == whole.state
