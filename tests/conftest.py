"""The platform in a folder of its own: real Dagster runs, DuckDB, MLflow on SQLite."""

from __future__ import annotations

import itertools
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest

from movierec_assets import platform as wiring
from movierec_assets.definitions import assemble
from movierec_assets.partitions import RANGE_END, RANGE_START
from movierec_assets.resources.notifier import Notifier
from movierec_assets.resources.registry.model_registry import ModelRegistry
from movierec_assets.resources.serving_client import ServingClient
from movierec_assets.resources.stores.bundle_store import BundleStore
from movierec_assets.resources.stores.chunk_archive import ChunkArchive
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings, settings
from tests.support.bucket import Bucket, bucket
from tests.support.generate import as_csv, catalogue, ratings_of_day
from tests.support.once import made_once

ROOT = Path(__file__).parents[1]
RUNS = itertools.count()


class Platform:
    """A warehouse, an instance and the definitions, and what people do with them."""

    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.home, self.instance = home, instance

    @property
    def root(self) -> Path:
        return self.home / "warehouse"

    @property
    def wired(self) -> wiring.Platform:
        """The product's adapters by the settings of this moment, which a test may have changed."""
        return wiring.wired()

    @property
    def definitions(self) -> dg.Definitions:
        return assemble(self.wired)

    @property
    def landing_zone(self) -> LandingZone:
        return self.wired.landing_zone

    @property
    def chunk_archive(self) -> ChunkArchive:
        return self.wired.chunk_archive

    @property
    def warehouse(self) -> Warehouse:
        return self.wired.warehouse

    @property
    def bundle_store(self) -> BundleStore:
        return self.wired.bundle_store

    @property
    def model_registry(self) -> ModelRegistry:
        return self.wired.model_registry

    @property
    def serving_client(self) -> ServingClient:
        return self.wired.serving_client

    @property
    def notifier(self) -> Notifier:
        return self.wired.notifier

    def deliver(self, *days: str, **options: Any) -> None:
        """Put generated ratings of these days into the landing zone."""
        self.landing_zone.deliver_movies(catalogue())
        for day in days:
            self.landing_zone.deliver(day, as_csv(ratings_of_day(day, **options)))

    def run(
        self, first: str, last: str | None = None, *assets: str, job: str = "daily"
    ) -> dg.JobExecutionResult:
        """One run over the range by the job's own executor, of all its assets or of these; it may
        fail.
        """
        by_day = job in ("daily", "retrain")
        tags = {RANGE_START: first, RANGE_END: last or first} if by_day else {}
        return dg.execute_job(
            dg.build_reconstructable_job("tests.support.jobs", "job_named", (job, next(RUNS))),
            self.instance,
            tags=tags,
            asset_selection=[dg.AssetKey(asset) for asset in assets] or None,
        )

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query on the warehouse."""
        with self.warehouse.connect(read_only=True) as connection:
            return list(connection.execute(sql).fetchall())

    def events(self, asset: str) -> list[dg.AssetMaterialization]:
        """The materializations of an asset, oldest first."""
        found = self.instance.fetch_materializations(
            dg.AssetKey(asset), limit=1000, ascending=True
        ).records
        return [record.asset_materialization for record in found if record.asset_materialization]


def settle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `folder` the home that this process's settings name, and nothing else."""
    for field, info in Settings.model_fields.items():
        name = str(info.validation_alias or f"MOVIEREC_{field.upper()}")
        monkeypatch.setenv(name, "")  # so that what set-up puts there is taken away again
        monkeypatch.delenv(name)
    monkeypatch.setenv(
        "MOVIEREC_GATE_MARGIN", "0.9"
    )  # 60 generated users cannot show a margin of 5 %
    # The large sites' rule, unless a test asks for the small ones'.
    monkeypatch.setenv("MOVIEREC_GATE_SMALL_USERS", "0")
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv("MOVIEREC_HOME", str(folder))
    monkeypatch.setenv(
        "MOVIEREC_ENDPOINTS", "http://127.0.0.1:1"
    )  # nobody's: the default port may be in use
    monkeypatch.setenv("MOVIEREC_DAGSTER_DIR", str(folder / "warehouse" / "dagster"))
    monkeypatch.chdir(folder)
    settings.cache_clear()


def empty_home(folder: Path) -> Path:
    """A folder as set-up finds it."""
    folder.mkdir(parents=True)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, folder)
    (folder / "warehouse" / "dagster").mkdir(parents=True)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder as set-up finds it, with a space in its name; settings read nothing else."""
    folder = empty_home(tmp_path / "a home")
    settle(folder, monkeypatch)
    with patch.dict(os.environ):  # set-up puts all of .env there
        yield folder
    settings.cache_clear()


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dagster's and MLflow's databases with their tables, which take seconds to make, and no row of
    ours.
    """

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as environment:
            settle(empty_home(folder), environment)
            with dg.DagsterInstance.get():
                wiring.wired().model_registry.client().search_experiments()
        settings.cache_clear()

    return made_once(tmp_path_factory, "tables", make) / "warehouse"


@pytest.fixture
def platform(tables: Path, home: Path) -> Iterator[Platform]:
    shutil.copytree(tables, home / "warehouse", dirs_exist_ok=True)
    with dg.DagsterInstance.get() as instance:
        yield Platform(home, instance)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: processes that share the files then end at about the same time."""
    items.sort(key=lambda item: "e2e" not in item.path.parts)


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    """An object store, which the environment names."""
    with bucket() as state:
        yield state


@pytest.fixture
def url(server: Bucket) -> Iterator[str]:
    """A part of the object store for one test."""
    yield f"s3://bucket/{uuid.uuid4().hex}"
    server.faults.clear()
    server.hit.clear()
