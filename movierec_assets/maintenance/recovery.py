"""What was lost, made again from what else knows it. Each step compares first, so all can be
repeated, and a kill between two leaves the rest to the next call.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from movierec_assets.errors import RecoveryError, RegistryLostError
from movierec_assets.maintenance.known import (
    chain_to,
    kept_records,
    lost_bundles,
    lost_twins,
    recorded_chunks,
    unrecorded_models,
)
from movierec_assets.platform import Platform
from movierec_assets.resources.registry.rebuild import rebuild
from movierec_assets.resources.registry.version_records import VersionRecord, published
from movierec_assets.training.day_model import DayModel
from movierec_serving.bundle import Bundle, BundleError, StoreError
from movierec_serving.bundle.files import link_file, staged_directory
from movierec_serving.bundle.manifest import MANIFEST


def restore_chunks(platform: Platform) -> list[str]:
    """Archive again what the ledger names and the landing zone still has; the days."""
    lost = recorded_chunks(platform) - platform.chunk_archive.names()
    days = []
    for day in sorted({day for day, _ in lost} & set(platform.landing_zone.days())):
        for source in platform.landing_zone.sources_of(day):
            _, content = platform.landing_zone.read(day, source)
            if (day, platform.chunk_archive.store(day, content)) in lost:
                days.append(day)
    return days


def restore_events(platform: Platform) -> int:
    """Put delivered events that the store of events lost back into it; how many.

    Raises:
        RecoveryError: a file of them is damaged.
    """
    files, store = platform.home_files.events, platform.event_log.store
    return sum(store.put_back(day, files.read(day)) for day in files.days())


def bring_publications(platform: Platform) -> int:
    """Have the published versions here whose bundles are lost, from the object store; how many.

    Raises:
        StoreError: one could not be brought whole; the others were.
    """
    brought, errors = 0, []
    for record in lost_bundles(platform, kept_records(platform)):
        try:
            brought += platform.published_models.bring(record.number)
        except StoreError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return brought


def restore_bundles(platform: Platform) -> list[str]:
    """Copy lost bundles back from MLflow's artifacts or from what was published; their days.

    What has no sound copy stays lost: `days_to_train` names its days.
    """
    return sorted(
        record.tags.get("data_until", "?")
        for record in lost_bundles(platform, kept_records(platform))
        if any(_copy(copy, platform, record) for copy in _copies(platform, record))
    )


def days_to_train(platform: Platform) -> list[str]:
    """The days whose model, bundle or twin can only be made again by training; ascending.

    Days before the newest model that were ingested and have no row are among them: their rows are
    lost, and a day without ratings has its row from its asset alone.
    """
    kept, models = kept_records(platform), platform.warehouse.models()
    due = set(lost_twins(platform))
    for record in lost_bundles(platform, kept):
        due |= set(chain_to(platform.bundle_store, list(models.values()), record.identity))
    if kept:  # else nothing was trained yet, which is no loss
        ledger = set(platform.warehouse.chunks())
        due |= {day for day in ledger - set(models) if day < max(models, default="")}
    return sorted(due)


def _copies(platform: Platform, record: VersionRecord) -> Iterator[Path]:
    """Folders that may hold a version's bundle."""
    root = Path(platform.bundle_store.root)
    yield root / "models" / str(record.number)
    location = platform.model_registry.artifacts(record.number)
    if location is not None:
        folder = Path(unquote(urlsplit(location).path))
        yield from (manifest.parent for manifest in folder.glob(f"artifacts/**/{MANIFEST}"))


def _copy(source: Path, platform: Platform, record: VersionRecord) -> bool:
    """Link or copy a sound bundle of the version's identity to its place; whether it was one."""
    bundle = Bundle.sound(source)
    if bundle is None or bundle.manifest.identity != record.identity:
        return False
    with staged_directory(platform.bundle_store.served(record.identity)) as staged:
        for name in (*bundle.manifest.files, MANIFEST):
            link_file(source / name, staged / name)
    return True


def record_models(platform: Platform) -> list[str]:
    """Enter the models of the recorded versions into the warehouse again; the days.

    Days without ratings, whose model is the day before's, follow when the models' asset is
    materialized.
    """
    days = []
    for day, record in unrecorded_models(platform, kept_records(platform)):
        try:
            manifest = Bundle.open(platform.bundle_store.served(record.identity)).manifest
        except BundleError:  # `restore_bundles` has named it
            continue
        model = DayModel(
            day=day,
            identity=manifest.identity,
            parent=manifest.parent,
            fit=manifest.fit,
            data_until=manifest.data_until,
            partitions_digest=manifest.partitions_digest,
            metrics=dict(record.metrics),
            arm=record.tags.get("arm", manifest.family),
        )
        platform.warehouse.record_model(model)
        days.append(day)
    return days


def restore_registry(platform: Platform) -> list[int]:
    """Register the recorded versions again if MLflow lost them; their numbers."""
    try:
        platform.model_registry.check_whole()
    except RegistryLostError:
        served = platform.bundle_store.served
        return rebuild(platform.model_registry, lambda identity: Bundle.sound(served(identity)))
    return []


def restore_publications(platform: Platform) -> list[int]:
    """Publish production, and each published number that is another model; the numbers.

    Raises:
        RecoveryError: the bundle of one of them is damaged or missing.
    """
    store, kept = Path(platform.published_models.path), kept_records(platform)
    folders = dict(published(store))
    wrong = {n for n, identity in folders.items() if n in kept and kept[n].identity != identity}
    production = platform.model_registry.production()
    due = wrong | ({production.number} - set(folders) if production is not None else set())
    for number in sorted(due):
        if number in wrong:
            shutil.rmtree(store / str(number))
        bundle = platform.bundle_store.served(kept[number].identity)
        try:
            platform.published_models.publish(bundle, number, platform.warehouse.catalogue())
        except BundleError as error:
            asset, day = f"{platform.warehouse.arm}_model", kept[number].tags.get("partition")
            raise RecoveryError(
                f"version {number} cannot be published: {error}; start `movierec up`, and "
                f"materialize {asset} of {day} again"
            ) from error
    if production is not None:
        platform.published_models.name_production(production.number)
    return sorted(due)
