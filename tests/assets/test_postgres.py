"""Dagster's and MLflow's records in PostgreSQL, by settings alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from pydantic import ValidationError

from movierec_assets.cli.setup import set_up
from movierec_assets.settings import Settings, settings
from tests.conftest import Platform, empty_home, settle
from tests.support.postgres import PASSWORD, postgres

DAYS = ("1997-09-20", "1997-09-21")


@pytest.fixture
def server() -> Iterator[str]:
    with postgres("dagster", "mlflow") as address:
        yield address


def trained(home: Path) -> list[str]:
    """Set a home up, train two days in it, pin the first: the identities of its versions."""
    set_up(home)
    with dg.DagsterInstance.get() as instance:
        platform = Platform(home, instance)
        platform.deliver(*DAYS, ratings=1500)
        assert platform.run("-", job="catalogue").success
        assert platform.run(*DAYS).success
        assert len(platform.events("als_model")) == 2
        assert instance.get_runs_count() == 2
        platform.model_registry.change("pin", 1, "a test")
        return [version.identity for version in platform.model_registry.versions()]


def test_the_same_models_and_records_are_in_postgresql(
    home: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_sqlite = trained(home)
    assert (home / "warehouse" / "mlflow.db").is_file()
    other = empty_home(tmp_path / "other home")
    settle(other, monkeypatch)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv(
        "MOVIEREC_DAGSTER_DATABASE", f"postgresql+psycopg2://movierec@{server}/dagster"
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql+psycopg2://movierec@{server}/mlflow")
    settings.cache_clear()
    assert trained(other) == on_sqlite
    left = {file.name for file in (other / "warehouse").rglob("*.db")}
    assert left == {"events.db"}  # the store of events has a URL of its own
    assert not (other / "mlruns").exists()
    assert any((other / "warehouse" / "mlflow").iterdir())


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [
        ("dagster_database", "postgresql+psycopg2://movierec:secret@db/dagster", "should match"),
        ("MLFLOW_TRACKING_URI", "postgresql+psycopg2://m:secret@db/mlflow", "into PGPASSWORD"),
        ("MLFLOW_TRACKING_URI", "postgresql://m@db/mlflow", "postgresql.psycopg2"),
    ],
)
def test_a_password_in_an_address_or_another_driver_is_refused(
    field: str, value: str, hint: str
) -> None:
    with pytest.raises(ValidationError, match=hint) as refused:
        Settings(_env_file=None, **{field: value})
    assert "secret" not in str(refused.value)
