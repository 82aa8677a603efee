"""What Dagster's and MLflow's pages show to somebody who reads no log."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from movierec_assets.defs.shared.pictures import Bounds, differences, histogram
from movierec_assets.promotion.description import describe
from movierec_assets.resources.notifier import webserver
from movierec_assets.settings import Settings, settings
from tests.conftest import Platform
from tests.support.homes import DAYS, Home, opened


@pytest.fixture
def platform(whole: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Four days trained in one run, version 3 pinned and 4 revoked."""
    whole.copy(tmp_path / "home")
    with opened(tmp_path / "home", monkeypatch) as platform:
        yield platform


def test_a_models_first_rows_say_how_good_it_is(platform: Platform) -> None:
    newest = platform.events("als_model")[-1]
    first = list(newest.metadata)[:3]
    assert first == ["NDCG@10", "popularity's NDCG@10", "change against production"]
    model = platform.warehouse.models([DAYS[-1]])[DAYS[-1]]
    assert newest.metadata["NDCG@10"].value == round(model.metrics["ndcg_at_10"], 5)
    assert newest.metadata["change against production"].value == "nothing is in production yet"
    assert platform.run(DAYS[-1], None, "als_model").success
    change = str(platform.events("als_model")[-1].metadata["change against production"].value)
    before = platform.warehouse.models([DAYS[2]])[DAYS[2]].metrics["ndcg_at_10"]
    assert f"version 3, of data until {DAYS[2]}, had {before:.5f}" in change


def test_the_verdict_does_not_repeat_the_models_rows(platform: Platform) -> None:
    model, verdict = platform.events("als_model")[-1], platform.events("gate_verdict")[-1]
    assert list(verdict.metadata)[:2] == ["verdict", "reason"]
    assert not set(model.metadata) & set(verdict.metadata)
    assert not set(platform.warehouse.models([DAYS[-1]])[DAYS[-1]].metrics) & set(verdict.metadata)
    table = verdict.metadata["references"]
    assert isinstance(table, dg.TableMetadataValue)
    assert {"users", "difference", "lower"} <= {row.data["figure"] for row in table.records}


def test_a_run_shows_its_days(platform: Platform) -> None:
    days = {run.tags.get("movierec/days") for run in platform.instance.get_runs()}
    assert f"{DAYS[0]} to {DAYS[-1]}" in days
    names = {run.info.run_name for run in platform.model_registry.client().search_runs(["1"])}
    assert set(DAYS) <= names  # the days' own
    assert any(name.startswith(f"{DAYS[0]} to {DAYS[-1]}, run ") for name in names)


def test_links_lead_from_dagster_to_mlflow_and_back(platform: Platform) -> None:
    registry = platform.model_registry
    version = registry.get(3)
    event = platform.events("registered_model")[-2]
    assert event.metadata["version"].value == 3
    assert event.metadata["MLflow version"].value == registry.page(3)
    assert version.run_id in str(event.metadata["MLflow run"].value)
    assert registry.page(3).startswith("http://127.0.0.1:5000/#/models/movierec/versions/3")
    back = f"http://127.0.0.1:3000/runs/{version.tags['dagster_run']}"
    found = registry.client().get_model_version("movierec", "3")
    assert back == version.tags["dagster_run_url"]
    assert back in found.description
    assert back in registry.client().get_run(version.run_id).data.tags["mlflow.note.content"]


def test_a_versions_description_says_what_the_gate_decided_and_why(platform: Platform) -> None:
    version = platform.model_registry.get(2)
    found = platform.model_registry.client().get_model_version("movierec", "2").description
    assert f"{version.tags['partition']}, {version.gate}. NDCG@10 " in found
    assert version.gate_reason in found


def test_a_description_names_what_is_known() -> None:
    assert describe({"data_until": "1998-04-01"}, {}) == "1998-04-01, not judged yet.\n\nMade."
    tags = {
        "partition": "1998-04-02",
        "fit": "warm",
        "gate": "awaiting_approval",
        "gate_reason": "unlike the day before",
        "dagster_run": "0123456789",
        "dagster_run_url": "http://127.0.0.1:3000/runs/0123456789",
    }
    assert describe(tags, {"ndcg_at_10": 0.25, "popularity_ndcg_at_10": 0.125}) == (
        "1998-04-02, awaiting approval. NDCG@10 0.2500, popularity's 0.1250.\n\n"
        "unlike the day before\n\n"
        "A warm fit by Dagster's run [01234567](http://127.0.0.1:3000/runs/0123456789)."
    )


def test_mlflows_pages_are_where_its_server_is() -> None:
    assert Settings(_env_file=None, mlflow_port=6000).mlflow_ui == "http://127.0.0.1:6000"
    server = Settings(_env_file=None, MLFLOW_TRACKING_URI="https://mlflow.example/")
    assert server.mlflow_ui == "https://mlflow.example"
    assert server.mlflow_is_elsewhere
    file = Settings(_env_file=None, MLFLOW_TRACKING_URI="sqlite:////elsewhere/mlflow.db")
    assert file.mlflow_ui == "http://127.0.0.1:5000"
    assert not file.mlflow_is_elsewhere  # nobody else shows it


def test_links_lead_to_the_port_of_the_homes_env(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_WEBSERVER_PORT", raising=False)
    monkeypatch.setenv("MOVIEREC_HOME", str(tmp_path))
    (tmp_path / ".env").write_text("DAGSTER_WEBSERVER_PORT='3100'\n")
    settings.cache_clear()
    assert webserver() == "http://127.0.0.1:3100"
    settings.cache_clear()


def svg(picture: dg.MarkdownMetadataValue) -> str:
    return base64.b64decode(picture.value.partition("base64,")[2].rstrip(")")).decode()


def test_pictures_carry_numbers_and_counts() -> None:
    bars = svg(histogram({4.0: 1200, 5.0: 300}))
    assert ">1,200<" in bars
    assert ">stars, 1,500 ratings<" in bars
    compared = svg(differences({"production": Bounds(-0.01, 0.02, 0.05, 904)}, 0.05))
    assert ">+2.0% (-1.0% to +5.0%), 904 users<" in compared


def test_the_launchpad_asks_only_for_what_a_person_decides(platform: Platform) -> None:
    job = platform.definitions.resolve_job_def("set_production")
    (change,) = job.run_config["ops"].values()
    assert set(change["config"]) == {"action", "version", "reason"}
    assert set(job.run_config) == {"ops"}
    resources = job.run_config_schema.config_type.fields["resources"].config_type.fields
    with_fields = {
        name
        for name, resource in resources.items()
        if getattr(resource.config_type.fields["config"].config_type, "fields", None)
    }
    assert with_fields <= {"io_manager"}  # Dagster's own
