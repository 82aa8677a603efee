"""What a home lost, made again: the stores first, then what only a run of Dagster's can make."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import dagster as dg

from movierec_assets.cli.runs import replay, run_catalogue, run_days
from movierec_assets.defs.shared.production import reconcile_production, reported_production
from movierec_assets.maintenance import recovery
from movierec_assets.maintenance.known import recorded_chunks
from movierec_assets.maintenance.loss import Loss
from movierec_assets.maintenance.losses import losses
from movierec_assets.platform import Platform
from movierec_assets.resources.stores.shared_ratings import share_ratings
from movierec_serving.bundle import StoreError

Say = Callable[[str], None]


def all_losses(platform: Platform, instance: dg.DagsterInstance) -> list[Loss]:
    """What the stores have lost, and Dagster's history."""
    return [*losses(platform), *lost_history(platform, instance)]


def lost_history(platform: Platform, instance: dg.DagsterInstance) -> list[Loss]:
    """Whether Dagster does not know what is in production."""
    production = platform.model_registry.production()
    if production is None or reported_production(instance) is not None:
        return []
    loss = f"Dagster has no event of production, which is version {production.number}"
    remedy = (
        "`movierec recover --apply` reports it; switch on again the schedules and sensors that "
        "you had switched on, and materialize the range of days to see them in the UI: what is "
        "current is skipped"
    )
    return [Loss("dagster/", loss, remedy)]


def recover(platform: Platform, instance: dg.DagsterInstance, say: Say) -> None:
    """Make again what can be, each store before those that are made from it; say what was done.

    Raises:
        RecoveryError: MLflow would not give the versions their numbers, or what is to be published
            is damaged.
    """

    def told(what: str, done: list[str]) -> None:
        if done:
            say(f"{what}: {len(done)}, {min(done)} to {max(done)}")

    store = platform.settings.object_store
    _exchange(platform.chunk_archive.bring, f"files of the archive brought from {store}", say)
    _exchange(platform.home_files.bring, f"other files brought from {store}", say)
    if events := recovery.restore_events(platform):
        say(f"events put back: {events}")
    told("days whose chunk is archived again", recovery.restore_chunks(platform))
    _exchange(platform.chunk_archive.share, f"files of the archive sent to {store}", say)
    _exchange(platform.home_files.share, f"other files sent to {store}", say)
    _recover_ledger(platform, instance, say)
    sent = partial(share_ratings, platform.warehouse, platform.chunk_archive)
    _exchange(sent, f"months of ratings sent to {store}", say)
    brought = f"published versions brought from {store}"
    _exchange(lambda: recovery.bring_publications(platform), brought, say)
    told("bundles copied back, by day", recovery.restore_bundles(platform))
    _exchange(platform.bundle_store.bring, f"bundles and twins brought from {store}", say)
    _exchange(platform.bundle_store.share, f"bundles and twins sent to {store}", say)
    numbers = recovery.restore_registry(platform)
    if numbers:
        say(f"versions registered again: {len(numbers)}, {numbers[0]} to {numbers[-1]}")
    platform.model_registry.keep_records()
    told("models recorded again, by day", recovery.record_models(platform))
    due = recovery.days_to_train(platform)
    asset = f"{platform.warehouse.arm}_model"
    if due:
        say(f"{asset} is materialized for {due[0]} to {due[-1]}")
        for problem in run_days(instance, due[0], due[-1], asset):
            say(problem)
    production = reconcile_production(instance, platform.model_registry, "movierec recover")
    say(f"production is {f'version {production}' if production else 'none'}")
    for number in recovery.restore_publications(platform):
        say(f"version {number} is published")


def _exchange(move: Callable[[], int], what: str, say: Say) -> None:
    """Move what one side of a copy lacks; a store that is away keeps nothing else from being
    made again.
    """
    try:
        if count := move():
            say(f"{what}: {count}")
    except StoreError as error:
        say(str(error))


def _recover_ledger(platform: Platform, instance: dg.DagsterInstance, say: Say) -> None:
    unknown = platform.chunk_archive.names() - recorded_chunks(platform)
    if unknown:
        days = {day for day, _ in unknown}
        receipts = [
            receipt for receipt in platform.chunk_archive.receipts.all() if receipt.day in days
        ]
        for problem in replay(platform, receipts):
            say(problem)
        say(f"chunks ingested again: {len(receipts)}, of {len(days)} days")
    if not platform.warehouse.movies() and platform.landing_zone.movies_path() is not None:
        for problem in run_catalogue(instance):
            say(problem)
