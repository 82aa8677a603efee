"""Dagster's and MLflow's records in PostgreSQL, by settings alone."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster_postgres import DagsterPostgresStorage
from dotenv import load_dotenv
from mlflow import MlflowClient
from pydantic import ValidationError
from typer.testing import CliRunner

from demo.processes import wait_until
from movierec_assets.cli.app import app
from movierec_assets.cli.setup import set_up
from movierec_assets.platform import wired
from movierec_assets.settings import Settings, settings
from movierec_serving.events import Event
from tests.conftest import ROOT, Platform, empty_home, settle
from tests.support.postgres import PASSWORD, postgres

MOVIEREC = [sys.executable, "-m", "movierec_assets"]
DAYS = ("1997-09-20", "1997-09-21")


@pytest.fixture
def server() -> Iterator[str]:
    with postgres("dagster", "mlflow", "events") as address:
        yield address


def recorded(home: Path) -> dict[str, object]:
    """What the records of a home say, whichever database they are in."""
    with dg.DagsterInstance.get() as instance:
        platform = Platform(home, instance)
        logs = {run.run_id: instance.all_logs(run.run_id) for run in instance.get_runs()}
        return {
            "runs": [(run.run_id, run.status, run.tags) for run in instance.get_runs()],
            "logs": {run: Counter(map(dg.serialize_value, found)) for run, found in logs.items()},
            "materializations": {
                asset: [(one.partition, one.tags) for one in platform.events(asset)]
                for asset in ("validated_ratings", "als_model", "production_model")
            },
            "versions": [(one.identity, one.tags) for one in platform.model_registry.versions()],
            "metrics": MlflowClient(settings().tracking_uri).search_runs(["1"])[0].data.metrics,
            "events": platform.wired.event_log.store.of_user("u1"),
        }


def rows_of(databases: list[Path]) -> dict[Path, list[str]]:
    """The rows of SQLite files; their bytes change when SQLite carries its log over."""
    dumps = {}
    for file in databases:
        with closing(sqlite3.connect(file)) as connection:
            dumps[file] = list(connection.iterdump())
    return dumps


def trained(home: Path, *days: str) -> list[str]:
    """Set a home up, train days in it, pin the first: the identities of its versions."""
    set_up(home)
    with dg.DagsterInstance.get() as instance:
        platform = Platform(home, instance)
        platform.deliver(*days, ratings=1500)
        assert platform.run("-", job="catalogue").success
        assert platform.run(days[0], days[-1]).success
        assert len(platform.events("als_model")) == len(days)
        assert instance.get_runs_count() == 2
        platform.model_registry.change("pin", 1, "a test")
        return [version.identity for version in platform.model_registry.versions()]


def test_the_same_models_and_records_are_in_postgresql(
    home: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_sqlite = trained(home, *DAYS)
    assert (home / "warehouse" / "mlflow.db").is_file()
    other = empty_home(tmp_path / "other home")
    settle(other, monkeypatch)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv(
        "MOVIEREC_DAGSTER_DATABASE", f"postgresql+psycopg2://movierec@{server}/dagster"
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql+psycopg2://movierec@{server}/mlflow")
    settings.cache_clear()
    assert trained(other, *DAYS) == on_sqlite
    left = {file.name for file in (other / "warehouse").rglob("*.db")}
    assert left == {"events.db"}  # the store of events has a URL of its own
    assert not (other / "mlruns").exists()
    assert any((other / "warehouse" / "mlflow").iterdir())


HOLD = """
import sys
from movierec_assets.platform import wired
with wired().model_registry.lock():
    print(flush=True)
    sys.stdin.read()
"""
RACE = """
import sys
from movierec_assets.platform import wired
registry, version = wired().model_registry, int(sys.argv[1])
for _ in range(6):
    registry.change("pin", version, "a race")
    registry.reconcile(lambda: None, lambda *move: None)
"""


def test_two_hosts_promote_one_after_the_other(
    home: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = f"postgresql+psycopg2://movierec@{server}/mlflow"
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    settings.cache_clear()
    trained(home, *DAYS)

    def host(name: str, code: str, *arguments: str) -> subprocess.Popen[str]:
        """A process whose home is another one: nothing in common but the database."""
        own = empty_home(tmp_path / name)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MOVIEREC_HOME": str(own)}
        command, pipe = [sys.executable, "-c", code, *arguments], subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)

    holder = host("host 1", HOLD)
    assert holder.stdout.readline()
    racers = [host(f"host {version + 1}", RACE, str(version)) for version in (1, 2)]
    with sa.create_engine(database).connect() as looker:
        waits = sa.text("SELECT count(*) = 2 FROM pg_locks WHERE NOT granted")
        wait_until(lambda: looker.execute(waits).scalar_one(), "both wait", 200, holder)
    holder.kill()
    for process in (*racers, holder):
        process.communicate()
    assert [process.returncode for process in racers] == [0, 0]
    registry = wired().model_registry
    production = registry.reconcile(lambda: None, lambda *move: None)
    pinned = [one.number for one in registry.versions() if "pinned" in one.tags]
    status = Counter(one.tags["status"] for one in registry.versions())
    assert pinned == [production.number]
    assert status == {"production": 1, "archived": 1}


def test_a_home_goes_from_sqlite_to_postgresql_whole_or_not_at_all(
    home: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    trained(home, DAYS[0])
    liked = Event(event_id="1", user_id="u1", movie_id="m1", type="rating", value=4, timestamp=9)
    wired().event_log.append([liked])
    before = recorded(home)
    on_sqlite = rows_of(sorted((home / "warehouse").rglob("*.db")))
    env = (home / ".env").read_bytes()
    address = f"postgresql+psycopg2://movierec@{server}"
    names = ("dagster", "mlflow", "events")
    command = ["move-database", *(f"--{name}={address}/{name}" for name in names)]

    # It is killed while it waits for a table that somebody else has locked.
    DagsterPostgresStorage(f"{address}/dagster")
    engine = sa.create_engine(f"{address}/dagster")
    with engine.connect() as holder:
        holder.execute(sa.text("LOCK TABLE asset_keys IN EXCLUSIVE MODE"))
        killed = subprocess.Popen(
            [*MOVIEREC, *command], env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        waits = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        wait_until(
            lambda: holder.execute(waits).scalar_one(), "it waits for the table", 200, killed
        )
        killed.kill()
        killed.wait()
    assert (home / ".env").read_bytes() == env
    assert recorded(home) == before

    with engine.begin() as other:
        other.execute(sa.text("INSERT INTO kvs (key, value) VALUES ('of', 'another')"))
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 1
    assert "kvs has 1 rows: name an empty database" in refused.stderr
    with engine.begin() as other:
        other.execute(sa.text("DELETE FROM kvs"))

    moved = CliRunner().invoke(app, command)
    assert moved.exit_code == 0, moved.stderr
    load_dotenv(home / ".env", override=True)
    settings.cache_clear()
    assert settings().dagster_database == f"{address}/dagster"
    assert recorded(home) == before
    with dg.DagsterInstance.get() as instance:
        platform = Platform(home, instance)
        platform.deliver(DAYS[1], ratings=1500)
        assert platform.run(DAYS[1]).success  # ids of new rows go on after those of the old
        assert instance.get_runs_count() == len(before["runs"]) + 1
    assert rows_of(list(on_sqlite)) == on_sqlite
    again = CliRunner().invoke(app, command)
    assert "names a database already" in again.stderr


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [
        ("dagster_database", "postgresql+psycopg2://movierec:secret@db/dagster", "should match"),
        ("MLFLOW_TRACKING_URI", "postgresql+psycopg2://m:secret@db/mlflow", "into PGPASSWORD"),
        ("dagster_database", "postgresql+psycopg2://m@db/d?password=secret", "into PGPASSWORD"),
        ("MLFLOW_TRACKING_URI", "postgresql+psycopg2://m@db/d?password=secret", "into PGPASSWORD"),
        ("MLFLOW_TRACKING_URI", "https://secret@mlflow.example", "MLFLOW_TRACKING_PASSWORD"),
        ("MLFLOW_TRACKING_URI", "postgresql://m@db/mlflow", "postgresql.psycopg2"),
    ],
)
def test_a_password_in_an_address_or_another_driver_is_refused(
    field: str, value: str, hint: str
) -> None:
    with pytest.raises(ValidationError, match=hint) as refused:
        Settings(_env_file=None, **{field: value})
    assert "secret" not in str(refused.value)
