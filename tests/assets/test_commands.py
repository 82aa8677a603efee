"""What is done by hand refuses what would do harm, and mends what nothing else can."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest

from bench.demo import DemoError, demo
from movierec_assets.commands.setup import set_up
from movierec_assets.commands.up import InUse, end_abandoned_runs, exclusively, up
from movierec_assets.definitions import assemble
from movierec_assets.settings import settings
from tests.conftest import Platform
from tests.generate import as_csv, catalogue, ratings_of_day

DAY = "1998-03-02"


def test_setup_writes_a_private_env_once_and_keeps_what_is_there(home: Path) -> None:
    (home / ".env").write_text("MOVIEREC_FACTORS=16\n")
    set_up(home)
    before = (home / ".env").read_text()
    set_up(home)
    assert (home / ".env").read_text() == before
    assert before.startswith("MOVIEREC_FACTORS=16\n")
    assert "MOVIEREC_RELOAD_TOKEN='" in before
    assert (home / ".env").stat().st_mode & 0o777 == 0o600


def test_setup_follows_a_moved_folder(home: Path) -> None:
    set_up(home)
    moved = home.parent / "elsewhere"
    shutil.copytree(home, moved)
    set_up(moved)
    assert f"DAGSTER_HOME='{moved}'" in (moved / ".env").read_text()


@pytest.mark.parametrize("file", ["ratings", "movies"])
def test_the_demo_touches_no_data_that_is_not_its_own(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    for name in ("MOVIEREC_HOME", "MOVIEREC_GATE_MARGIN", "MOVIEREC_ENDPOINTS"):
        monkeypatch.delenv(name, raising=False)
    if file == "ratings":
        platform.landing_zone.deliver(DAY, as_csv(ratings_of_day(DAY)))
    else:
        platform.landing_zone.deliver_movies(catalogue())
    before = sorted(platform.root.rglob("*.csv"))
    with pytest.raises(DemoError, match="not the demo's"):
        demo(platform.home)
    assert sorted(platform.root.rglob("*.csv")) == before


@pytest.mark.parametrize("name", ["MOVIEREC_HOME", "MLFLOW_TRACKING_URI"])
def test_the_demo_is_not_led_to_other_data(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "/somewhere")
    with pytest.raises(DemoError, match=name):
        demo(home)


def test_one_platform_runs_on_a_warehouse(home: Path) -> None:
    with exclusively(settings().warehouse), pytest.raises(InUse, match="stop it first"):
        up(home)


def test_a_run_that_died_with_everything_else_is_ended(platform: Platform) -> None:
    job = assemble(settings()).resolve_job_def("catalogue")
    run = platform.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    end_abandoned_runs()
    ended = platform.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE
