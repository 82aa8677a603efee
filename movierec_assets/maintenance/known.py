"""What the stores of a home know of each other, by which a loss is seen and made good."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from movierec_assets.maintenance.retention import compared_next
from movierec_assets.platform import Platform
from movierec_assets.ratings.declaration import Declaration
from movierec_assets.resources.registry.version_records import VersionRecord
from movierec_assets.resources.stores.bundle_store import BundleStore
from movierec_assets.resources.stores.receipts import Receipt
from movierec_assets.training.day_model import DayModel


def kept_records(platform: Platform) -> dict[int, VersionRecord]:
    """The records of the versions whose files were not removed, by number."""
    records = platform.model_registry.records.all()
    return {number: record for number, record in records.items() if record.removed is None}


def read_by(platform: Platform, receipt: Receipt) -> Declaration | None:
    """What an archived chunk's source declared when it came; today's where no receipt says it."""
    source = Path(receipt.path).parts[0]
    if not receipt.declared:
        return platform.landing_zone.declaration(source)
    if receipt.declaration is None:
        return None
    return platform.chunk_archive.declaration(source, receipt.declaration)


def recorded_chunks(platform: Platform) -> set[tuple[str, str]]:
    """(day, sha256) of every chunk in the ledger."""
    ledger = platform.warehouse.chunks()
    return {(chunk.day, chunk.sha256) for chunks in ledger.values() for chunk in chunks}


def unrecorded_models(
    platform: Platform, kept: dict[int, VersionRecord]
) -> list[tuple[str, VersionRecord]]:
    """(day, version): the newest of each day and arm, whose model is not in the warehouse."""
    newest = {
        (record.tags.get("partition", ""), record.tags.get("arm")): record
        for record in kept.values()
    }
    with platform.warehouse.connect(read_only=True):
        known = {arm: platform.warehouse.models(arm=arm) for _, arm in newest}
        return [
            (day, record)
            for (day, arm), record in newest.items()
            if day
            and day not in known[arm]
            # What is served now may be of another family than it was on that day.
            and platform.warehouse.model(record.identity) is None
        ]


def lost_twins(platform: Platform) -> list[str]:
    """The days to be trained again for the twins that the next model and its verdict need."""
    models = list(platform.warehouse.models().values())
    needed = set(compared_next(platform.model_registry.versions()))
    trained = [model.identity for model in models if model.identity is not None]
    needed |= set(trained[-1:])
    store = platform.bundle_store
    gone = sorted(identity for identity in needed if not store.twin(identity).is_dir())
    return sorted({day for identity in gone for day in chain_to(store, models, identity)})


def chain_to(store: BundleStore, models: Sequence[DayModel], identity: str) -> list[str]:
    """The days to be trained again for a model, from the first of its chain that is incomplete.

    The model before that is whole, or there is none: so each is made again from what it was made
    from, and no other model takes its place.
    """
    days = {model.identity: model for model in reversed(models) if model.identity is not None}
    chain: list[str] = []
    at: str | None = identity
    while at is not None and at in days and not store.complete(at):
        chain.append(days[at].day)
        at = days[at].parent
    return sorted(chain)


def lost_bundles(platform: Platform, kept: dict[int, VersionRecord]) -> list[VersionRecord]:
    """The versions whose served bundle is not in its store."""
    store = platform.bundle_store
    return [
        record
        for record in kept.values()
        if record.identity and not store.served(record.identity).is_dir()
    ]
