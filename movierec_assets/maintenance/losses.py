"""What a home has lost: each store is compared with those that know what was in it.

Nothing is changed here. `recovery` makes again what can be made again; the rest is named with what
a person has to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from movierec_assets.errors import RecoveryError, RegistryLostError
from movierec_assets.maintenance.copies import of_copies
from movierec_assets.maintenance.journal import ID_FILE
from movierec_assets.maintenance.known import (
    kept_records,
    lost_bundles,
    lost_twins,
    recorded_chunks,
    unrecorded_models,
)
from movierec_assets.maintenance.loss import RECOVER, Loss, days_of, span
from movierec_assets.platform import Platform
from movierec_assets.resources.registry.version_records import VersionRecord, published
from movierec_serving.events import EventStoreError


def losses(platform: Platform) -> list[Loss]:
    """What is missing now, the stores first that others are made again from."""
    kept = kept_records(platform)
    parts = (
        _erasure(platform),
        _settings(platform),
        of_copies(platform),
        _events(platform),
        _chunks(platform),
        _ledger(platform),
        _registry(platform),
        _models(platform, kept),
        _bundles(platform, kept),
        _twins(platform),
        _publications(platform, kept),
    )
    return [loss for part in parts for loss in part]


def _erasure(platform: Platform) -> Iterator[Loss]:
    if (platform.settings.warehouse / ID_FILE).exists():
        yield Loss(
            ID_FILE,
            "a user is not forgotten to the end",
            "stop the platform and run `movierec forget --resume`",
        )


def _settings(platform: Platform) -> Iterator[Loss]:
    settings, ledger = platform.settings, platform.warehouse.chunks()
    first, last = settings.partition_start.isoformat(), settings.partition_end
    outside = [day for day in ledger if day < first or (last and day > last.isoformat())]
    if outside:
        yield Loss(
            ".env",
            f"{len(outside)} days, {span(outside)}, are outside the partitions "
            f"({first} to {last or 'today'})",
            "set MOVIEREC_PARTITION_START and MOVIEREC_PARTITION_END as they were",
        )
    if ledger and settings.reload_token is None:
        yield Loss(
            ".env",
            "MOVIEREC_RELOAD_TOKEN is not set, so nothing can be deployed",
            "run `movierec setup`, which writes one, and start the endpoints again",
        )


def _events(platform: Platform) -> Iterator[Loss]:
    files = platform.home_files.events
    if not (days := files.days()):
        return
    try:
        known = set(platform.event_log.store.delivered())
        gone = [day for day in days if day not in known and files.read(day)]
    except (EventStoreError, RecoveryError) as error:
        yield Loss("events/", f"what they are is not known: {error}", "see to it that it answers")
        return
    if gone:
        yield Loss(
            "events/",
            f"the store of events lacks what was delivered of {len(gone)} days, {span(gone)}",
            f"{RECOVER} puts it back",
        )


def _chunks(platform: Platform) -> Iterator[Loss]:
    # What could not be read may never have been archived: it was too large, or lay outside.
    ledger = [chunk for chunks in platform.warehouse.chunks().values() for chunk in chunks]
    read = {(chunk.day, chunk.sha256) for chunk in ledger if not chunk.unreadable}
    gone = sorted(read - platform.chunk_archive.names())
    if gone:
        yield Loss(
            "chunks/",
            f"{len(gone)} chunks of the ledger are not in the archive, {days_of(gone)}",
            f"{RECOVER} takes those that still lie in the landing zone; deliver the others again, "
            "else no model of these days can be verified",
        )


def _ledger(platform: Platform) -> Iterator[Loss]:
    unknown = sorted(platform.chunk_archive.names() - recorded_chunks(platform))
    if unknown:
        yield Loss(
            "movierec.duckdb",
            f"{len(unknown)} archived chunks are not in the ledger, {days_of(unknown)}",
            f"{RECOVER} ingests and validates them again, in the order of their receipt",
        )


def _registry(platform: Platform) -> Iterator[Loss]:
    try:
        platform.model_registry.check_whole()
    except RegistryLostError as lost:
        yield Loss("mlflow.db", str(lost).partition(";")[0], f"{RECOVER} registers them again")


def _models(platform: Platform, kept: dict[int, VersionRecord]) -> Iterator[Loss]:
    unknown = [day for day, _ in unrecorded_models(platform, kept)]
    if unknown:
        yield Loss(
            "movierec.duckdb",
            f"the models of {len(unknown)} days are not in the table day_models, {span(unknown)}",
            f"{RECOVER} records them again from their versions and bundles",
        )


def _bundles(platform: Platform, kept: dict[int, VersionRecord]) -> Iterator[Loss]:
    gone = lost_bundles(platform, kept)
    if gone:
        yield Loss(
            "bundles/",
            f"the bundles of {len(gone)} versions are missing, "
            f"{span([record.tags.get('data_until', '?') for record in gone])}",
            f"{RECOVER} takes them from MLflow, from what was published or from MOVIEREC_STORE; a "
            "day that has none of them is trained again",
        )


def _twins(platform: Platform) -> Iterator[Loss]:
    days = lost_twins(platform)
    if days:
        yield Loss(
            "twins/",
            f"the gate has nothing to compare with: twins of {span(days)} are missing",
            f"{RECOVER} takes them from MOVIEREC_STORE or trains these days again, or materialize "
            f"{platform.warehouse.arm}_model of [{days[0]}...{days[-1]}]; the models keep their "
            "identities",
        )


def _publications(platform: Platform, kept: dict[int, VersionRecord]) -> Iterator[Loss]:
    store = Path(platform.published_models.path)
    folders = dict(published(store))
    for number, identity in folders.items():
        if number in kept and kept[number].identity != identity:
            yield Loss(
                "models/",
                f"models/{number} is {identity[:12]}, version {number} is "
                f"{kept[number].identity[:12]}",
                f"{RECOVER} publishes the version in its place",
            )
    production = platform.model_registry.production()
    if production is not None and production.number not in folders:
        yield Loss(
            "models/",
            f"version {production.number}, production, is not published",
            f"the sensor `deploy_production` deploys it, {RECOVER} publishes it at once; start an "
            "endpoint again that ran while the folder was removed",
        )
