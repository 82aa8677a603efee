"""What must hold after a crash, and what must be the same as after an undisturbed run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
from mlflow.exceptions import MlflowException

from movierec_assets.platform import Platform
from movierec_assets.promotion.policy import desired_production
from movierec_assets.resources.registry.model_registry import EXPERIMENT, MODEL_NAME
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
    chunks = [one for chunks in warehouse.chunks().values() for one in chunks]
    versions = [(one.data_until, one.identity, one.gate) for one in registry.versions()]
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


def _rows(warehouse: Any) -> list[str]:
    with warehouse.connect(read_only=True) as connection:
        rows = connection.execute(
            """SELECT day::VARCHAR, rows, validated, rejected, superseded, verdict,
                      (SELECT count(*) FROM raw_ratings r WHERE r.day = c.day AND r.file = c.file),
                      (SELECT count(*) FROM raw_ratings r WHERE r.day = c.day),
                      (SELECT count(*) FROM validated_ratings v WHERE v.day = c.day),
                      (SELECT count(*) FROM rejected_ratings j WHERE j.day = c.day) FROM chunks c
                        WHERE current"""
        ).fetchall()
        twice = connection.execute(
            "SELECT day::VARCHAR FROM chunks GROUP BY day HAVING count(*) FILTER (current) > 1"
        ).fetchall()
    found = [f"{day}: two current chunks" for (day,) in twice]
    for day, raw, validated, rejected, superseded, verdict, *there in rows:
        if (
            raw != validated + rejected + superseded
            or there != [raw, raw, validated, rejected]
            or not verdict
        ):
            found.append(
                f"{day}: the ledger says {raw}, {validated}, {rejected}; there are {there}"
            )
    return found


def _registry(adapters: Platform, instance: dg.DagsterInstance) -> list[str]:
    registry, found = adapters.model_registry, []
    versions, production = registry.versions(), registry.production()
    wanted = desired_production([one.candidate for one in versions])
    marked = [one.number for one in versions if one.tags.get("status") == "production"]
    if (production and production.number) != wanted or marked != [wanted]:
        found.append(
            f"production is {production and production.number}, marked {marked}, wanted {wanted}"
        )
    event = instance.get_latest_materialization_event(dg.AssetKey("production_model"))
    reported = (
        event
        and event.asset_materialization
        and event.asset_materialization.metadata["version"].value
    )
    if reported != wanted:
        found.append(f"production {reported} is reported, not {wanted}")
    if len({one.identity for one in versions}) != len(versions):
        found.append("two versions of one identity")
    client = registry.client()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'"):
        found.append("an MLflow run is left RUNNING")
    for one in versions:
        try:
            _, model = client.get_model_version(MODEL_NAME, str(one.number)).source.rsplit("/", 1)
            folder = client.get_logged_model(model).artifact_location.removeprefix("file://")
            (manifest,) = Path(folder).glob("**/manifest.json")
            found += _unsound(manifest.parent)
        except (MlflowException, ValueError) as error:
            found.append(f"version {one.number} has no artifact: {error}")
    return found


def _bundles(adapters: Platform, root: Path) -> list[str]:
    found = []
    for kind in ("bundles", "twins"):
        for path in (root / kind).iterdir():
            if not path.name.startswith("."):
                found += _unsound(path)
    store = adapters.bundle_store
    numbers = [
        one.number for one in adapters.model_registry.versions() if not store.complete(one.identity)
    ]
    return found + [f"no bundle of version {number}" for number in numbers]


def _unsound(path: Path) -> list[str]:
    try:
        Bundle.open(path, verify=True)
    except BundleError as error:
        return [f"half-published: {error}"]
    return []


def _served(adapters: Platform, root: Path) -> list[str]:
    found, store = [], root / "models"
    for path in store.iterdir():
        if path.name.isdecimal():
            try:
                PublishedModel.open(store, int(path.name), verify=True)
            except BundleError as error:
                found.append(f"half-published: {error}")
    production = adapters.model_registry.production().number
    with adapters.warehouse.connect(read_only=True) as connection:
        (table,) = connection.execute("SELECT list(DISTINCT version) FROM served_model").fetchone()
    if table != [production]:
        found.append(f"the table has {table}, production is {production}")
    served = {pointer.name: Pointer.open(pointer).load() for pointer in store.glob(".serving-?")}
    return found + [
        f"{name} serves {it}, not {production}" for name, it in served.items() if it != production
    ]
