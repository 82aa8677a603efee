"""What is done by hand refuses what would do harm, and mends what nothing else can."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from demo.anew import DemoError
from demo.story import demo
from movierec_assets.cli.app import main
from movierec_assets.cli.setup import set_up
from movierec_assets.cli.up import end_abandoned_runs, exclusively, up
from movierec_assets.errors import InUseError
from movierec_assets.settings import settings
from tests.conftest import Platform
from tests.support.generate import as_csv, catalogue, ratings_of_day

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


def test_a_line_of_env_that_is_no_setting_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".env").write_text(
        "MOVIEREC_WEBSERVER_PORT=3100\nMOVIEREC_APP=off\nDAGSTER_WEBSERVER_PORT=3000\nOTHER=1\n"
        "MOVIEREC_FACTORS is 16\n"
    )
    monkeypatch.setattr("sys.argv", ["movierec", "setup"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    lines = capsys.readouterr().err.splitlines()
    unread, said = (line for line in lines if line.startswith("setup:"))
    assert unread == f"setup: {home / '.env'}, line 5: expected NAME=VALUE; it is ignored"
    assert said == (
        f"setup: {home / '.env'}: MOVIEREC_WEBSERVER_PORT is no setting, and is ignored: did you "
        "mean DAGSTER_WEBSERVER_PORT?"
    )


def test_setup_follows_a_moved_folder(home: Path) -> None:
    set_up(home)
    moved = home.parent / "elsewhere"
    shutil.copytree(home, moved)
    set_up(moved)
    assert f"DAGSTER_HOME='{moved}'" in (moved / ".env").read_text()


def test_status_shows_a_reason_as_it_is_and_no_warning_of_a_library(platform: Platform) -> None:
    platform.landing_zone.deliver(DAY, b"user_id,movie_id,rating,timestamp,[/b]\n")
    platform.run(DAY)
    shown = subprocess.run(
        [sys.executable, "-m", "movierec_assets", "status"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 1
    assert "unknown '[/b]'" in shown.stdout
    assert shown.stderr == ""


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("MOVIEREC_FACTORS", "many", "MOVIEREC_FACTORS: Input should be a valid integer"),
        ("MOVIEREC_POLICIES", "wide", "MOVIEREC_POLICIES: not JSON such as"),
        (
            "MOVIEREC_POLICIES",
            '{"wide": {"factors": "many"}}',
            "MOVIEREC_POLICIES: wide: factors: Input should be a valid integer",
        ),
        ("MOVIEREC_ALPHA", "inf", "MOVIEREC_ALPHA: Input should be a finite number"),
        (
            "MOVIEREC_ENDPOINTS",
            "here",
            "MOVIEREC_ENDPOINTS: not all begin with http:// or https://",
        ),
        (
            "MOVIEREC_ENDPOINTS",
            "http://me:word@host",
            "MOVIEREC_ENDPOINTS: an address",
        ),
        ("MOVIEREC_ENDPOINTS", "http://host:99999", "MOVIEREC_ENDPOINTS: Port out of"),
        ("MOVIEREC_RELOAD_TOKEN", "é", "MOVIEREC_RELOAD_TOKEN: a header carries"),
        ("MOVIEREC_WEBHOOK", "chat", "MOVIEREC_WEBHOOK: expected an address"),
        ("MOVIEREC_EVENTS_URL", "mysql://x", "MOVIEREC_EVENTS_URL: expected an"),
        ("MLFLOW_TRACKING_URI", "ftp://x", "MLFLOW_TRACKING_URI: expected an address"),
        ("MOVIEREC_MAX_CHUNK_MB", "9" * 20, "MOVIEREC_MAX_CHUNK_MB: Input should be less"),
        ("MOVIEREC_KEEP_EVENTS_DAYS", "9" * 9, "MOVIEREC_KEEP_EVENTS_DAYS: Input should be less"),
        (
            "MOVIEREC_PARTITION_END",
            "1990-01-01",
            "partition_end is before partition_start",
        ),
    ],
)
def test_a_wrong_setting_is_named(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    cause: str,
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["movierec", "status"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said, where = capsys.readouterr().err.splitlines()
    assert said.startswith(f"settings: {cause}")
    assert where == f"mend it in {home / '.env'}, or in the environment"


def test_a_file_that_cannot_be_used_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".env").mkdir()
    monkeypatch.setattr("sys.argv", ["movierec", "setup"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("movierec: [Errno ")
    assert str(home / ".env") in said


def test_a_database_that_cannot_be_used_is_named_and_how_full_its_disk_is(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a full disk SQLite cannot read either; its own traceback does not name the disk."""
    set_up(home)
    capsys.readouterr()  # MLflow says that it makes its tables
    for database in Path(os.environ["MOVIEREC_DAGSTER_DIR"]).rglob("*.db"):
        database.write_bytes(b"no database " * 100)
    monkeypatch.setattr("sys.argv", ["movierec", "status"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    (said,) = capsys.readouterr().err.splitlines()
    begins = "movierec: a database cannot be used: file is not a database. See that "
    assert said.startswith(f"{begins}{home / 'warehouse'} can be written; ")
    assert said.endswith(" MB of its disk are free")


def test_settings_that_are_no_text_are_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".env").write_bytes(b"MOVIEREC_WEBHOOK='http://caf\xe9'\n")
    monkeypatch.setattr("sys.argv", ["movierec", "status"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith(f"movierec: {home / '.env'} is not UTF-8")


@pytest.mark.parametrize("file", ["ratings", "movies"])
def test_the_demo_touches_no_data_that_is_not_its_own(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    for name in [one for one in os.environ if one.startswith("MOVIEREC_GATE_")]:
        monkeypatch.delenv(name)
    for name in ("MOVIEREC_HOME", "MOVIEREC_ENDPOINTS"):
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
def test_the_demo_is_not_led_to_other_data(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/somewhere")
    with pytest.raises(DemoError, match=name):
        demo(home)


def test_one_platform_runs_on_a_warehouse(home: Path) -> None:
    with exclusively(settings().warehouse), pytest.raises(InUseError, match="stop it first"):
        up(home)


def test_a_run_that_died_with_everything_else_is_ended(platform: Platform) -> None:
    job = platform.definitions.resolve_job_def("catalogue")
    run = platform.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    end_abandoned_runs()
    ended = platform.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE
