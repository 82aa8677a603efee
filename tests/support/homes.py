"""A home with a few days in it, copied for each test that loses, saves or removes something."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from movierec_assets.resources.registry.relocation import relocate
from tests.conftest import Platform, settle
from tests.support.generate import days_from

DAYS = days_from("1998-03-30", 4)  # the third begins a month


@dataclass(frozen=True)
class Home:
    """A folder with four days in it, and the state that it is in."""

    folder: Path
    state: dict[str, object]

    def copy(self, folder: Path, *, without: str = "") -> None:
        """Copy it; MLflow is told where its files are now."""
        lost = self.folder / "warehouse" / without if without else None
        shutil.copytree(
            self.folder,
            folder,
            ignore=lambda within, names: [n for n in names if Path(within) / n == lost],
        )
        database = folder / "warehouse" / "mlflow.db"
        if database.exists():
            assert relocate(database, "movierec", folder / "warehouse")


def state(platform: Platform) -> dict[str, object]:
    """What must be as before: versions by number, production, days' models, ratings."""
    versions = {one.number: (one.identity, one.tags) for one in platform.model_registry.versions()}
    kept = {
        number: (identity, {key: tags.get(key) for key in ("gate", "gate_reason", "status")})
        for number, (identity, tags) in versions.items()
    }
    production = platform.model_registry.production()
    sql = "SELECT * EXCLUDE (received_at) FROM chunks ORDER BY ALL"
    return {
        "versions": kept,
        "decisions": {
            number: (tags.get("pinned"), tags.get("revoked"))
            for number, (_, tags) in versions.items()
        },
        "production": production.number if production else None,
        "models": {day: model.identity for day, model in platform.warehouse.models().items()},
        "metrics": {day: model.metrics for day, model in platform.warehouse.models().items()},
        "ledger": platform.query(sql),
        "ratings": platform.query("SELECT * FROM validated_ratings ORDER BY ALL"),
        "movies": platform.query("SELECT count(*) FROM movies"),
        "events": platform.events("production_model")[-1].metadata["version"].value,
    }


@contextmanager
def opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    settle(folder, monkeypatch)
    monkeypatch.setenv("MOVIEREC_RELOAD_TOKEN", "a token")
    (folder / "warehouse" / "dagster").mkdir(exist_ok=True)
    with dg.DagsterInstance.get() as instance:
        yield Platform(folder, instance)
