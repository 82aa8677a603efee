"""What must hold after a crash, and what must be the same as after an undisturbed run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import dagster as dg

from movierec_assets.platform import Platform
from movierec_assets.promotion.policy import desired_production
from movierec_assets.ratings.ledger import held
from movierec_assets.resources.registry.registry_reader import EXPERIMENT
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import settings
from movierec_serving.bundle import Bundle, BundleError, PublishedModel
from movierec_serving.model.pointer import Pointer


def state(adapters: Platform) -> Any:
    """What must not depend on kills: chunks, rows, models and their bytes, versions by day,
    production.
    """
    warehouse, registry, store = (
        adapters.warehouse,
        adapters.model_registry,
        adapters.bundle_store,
    )
    with warehouse.connect(read_only=True) as connection:
        rows = [
            connection.execute(f"SELECT count(*), bit_xor(hash(t)) FROM {table} t").fetchone()
            for table in (
                "raw_ratings",
                "validated_ratings",
                "rejected_ratings",
                "movies",
                "served_model",
            )
        ]
    models = warehouse.models()
    factors = {
        model.identity: [
            {name: entry.sha256 for name, entry in Bundle.open(path).manifest.files.items()}
            for path in (store.served(model.identity), store.twin(model.identity))
        ]
        for model in models.values()
    }
    production = registry.production()
    chunks = [chunk for chunks in warehouse.chunks().values() for chunk in chunks]
    versions = [
        (version.data_until, version.identity, version.gate) for version in registry.versions()
    ]
    return repr([rows, chunks, models, factors, versions, production and production.identity])


def violations(adapters: Platform, instance: dg.DagsterInstance) -> list[str]:
    """The invariants that do not hold."""
    root = settings().warehouse
    return [
        *_rows(adapters.warehouse),
        *_registry(adapters, instance),
        *_bundles(adapters, root),
        *_served(adapters, root),
    ]


def _rows(warehouse: Warehouse) -> list[str]:
    """Each chunk's rows are where the ledger says: those that count, and a refused one's beside."""
    with warehouse.connect(read_only=True) as connection:

        def counted(table: str, key: str) -> Counter[tuple[str, ...]]:
            rows = connection.execute(
                f"SELECT day::VARCHAR, source, {key}, count(*) FROM {table} GROUP BY ALL"
            ).fetchall()
            return Counter({tuple(row[:-1]): row[-1] for row in rows})

        raw = counted("raw_ratings", "sha256")
        rejected = counted("rejected_ratings", "sha256")
        valid = counted("validated_ratings", "'current'")
        ledger = [chunk for chunks in warehouse.chunks().values() for chunk in held(chunks)]
    broken = []
    wanted_raw, wanted_rejected, wanted_valid = Counter(), Counter(), Counter()  # type: ignore[var-annotated]
    for chunk in ledger:
        key, day = (chunk.day, chunk.source, chunk.sha256), (chunk.day, chunk.source, "current")
        wanted_raw[key], wanted_rejected[key] = chunk.rows, chunk.rejected
        if chunk.current:
            if day in wanted_valid:
                broken.append(f"{chunk.day}: two current chunks of {chunk.source}")
            wanted_valid[day] = chunk.validated
        if chunk.verdict is None or chunk.current != (chunk.verdict == "accepted"):
            broken.append(
                f"{chunk.day}: {chunk.sha256[:12]} is {chunk.verdict}, current: {chunk.current}"
            )
        if chunk.rows != chunk.validated + chunk.rejected + chunk.superseded:
            broken.append(f"{chunk.day}: {chunk.rows} rows are not the sum of their kinds")
    for name, there, wanted in (
        ("raw", raw, wanted_raw),
        ("rejected", rejected, wanted_rejected),
        ("validated", valid, wanted_valid),
    ):
        if +there != +wanted:
            differ = sorted((+there - wanted) + (+wanted - there))
            broken.append(f"the {name} rows are not those of the ledger: {differ[:3]}")
    return broken


def _registry(adapters: Platform, instance: dg.DagsterInstance) -> list[str]:
    registry, broken = adapters.model_registry, []
    versions, production = registry.versions(), registry.production()
    desired = desired_production(versions)
    wanted = desired.number if desired is not None else None
    marked = [version.number for version in versions if version.tags.get("status") == "production"]
    if (production and production.number) != wanted or marked != [wanted]:
        broken.append(
            f"production is {production and production.number}, marked {marked}, wanted {wanted}"
        )
    event = instance.get_latest_materialization_event(dg.AssetKey("production_model"))
    reported = (
        event
        and event.asset_materialization
        and event.asset_materialization.metadata["version"].value
    )
    if reported != wanted:
        broken.append(f"production {reported} is reported, not {wanted}")
    if len({version.identity for version in versions}) != len(versions):
        broken.append("two versions of one identity")
    client = registry.client()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'"):
        broken.append("an MLflow run is left RUNNING")
    for version in versions:
        try:
            folder = Path(unquote(urlsplit(registry.artifacts(version.number) or "").path))
            (manifest,) = folder.glob("artifacts/**/manifest.json")
            broken += _unsound(manifest.parent)
        except ValueError as error:
            broken.append(f"version {version.number} has no artifact: {error}")
    return broken


def _bundles(adapters: Platform, root: Path) -> list[str]:
    broken = []
    for kind in ("bundles", "twins"):
        for path in (root / kind).iterdir():
            if not path.name.startswith("."):
                broken += _unsound(path)
    store = adapters.bundle_store
    numbers = [
        version.number
        for version in adapters.model_registry.versions()
        if not store.complete(version.identity)
    ]
    return broken + [f"no bundle of version {number}" for number in numbers]


def _unsound(path: Path) -> list[str]:
    try:
        Bundle.open(path, verify=True)
    except BundleError as error:
        return [f"half-published: {error}"]
    return []


def _served(adapters: Platform, root: Path) -> list[str]:
    broken, store = [], root / "models"
    for path in store.iterdir():
        if path.name.isdecimal():
            try:
                PublishedModel.open(store, int(path.name), verify=True)
            except BundleError as error:
                broken.append(f"half-published: {error}")
    production = adapters.model_registry.production().number
    with adapters.warehouse.connect(read_only=True) as connection:
        (table,) = connection.execute("SELECT list(DISTINCT version) FROM served_model").fetchone()
    if table != [production]:
        broken.append(f"the table has {table}, production is {production}")
    served = {pointer.name: Pointer.open(pointer).load() for pointer in store.glob(".serving-?")}
    return broken + [
        f"{name} serves {it}, not {production}" for name, it in served.items() if it != production
    ]
