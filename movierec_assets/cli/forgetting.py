"""An erasure from its beginning to its end: first everything with the id goes, then models are
made again from what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from movierec_assets.cli.runs import replay, run_days
from movierec_assets.defs.shared.production import reconcile_production
from movierec_assets.errors import EndpointError, ForgetError
from movierec_assets.maintenance.erasure import (
    erase_events,
    erase_rows,
    erase_taken,
    left_in,
    remove_models,
    rewrite_chunks,
    scrub_databases,
    scrub_files,
)
from movierec_assets.maintenance.journal import Journal
from movierec_assets.maintenance.recovery import restore_publications
from movierec_assets.maintenance.traces import Traces
from movierec_assets.platform import Platform
from movierec_assets.resources.stores.shared_ratings import share_ratings

Say = Callable[[str], None]
AFTER_TRAINING = ("registered_model", "gate_verdict", "prequential_evaluation")
SHOWN = 20  # files that are named, of those that still have the id


def begin(platform: Platform, user_id: str | None, reason: str | None) -> Journal:
    """The journal of a new erasure, or of the unfinished one if no user is given.

    Raises:
        ForgetError: there is none to go on with, another one is unfinished, no reason, or the
            reason names the user.
    """
    warehouse = platform.settings.warehouse
    journal = Journal.load(warehouse)
    if user_id is None:
        if journal is None:
            raise ForgetError("there is no unfinished erasure")
        return journal
    if journal is not None and journal.user_id != user_id:
        raise ForgetError("another erasure is unfinished: `movierec forget --resume` first")
    if not user_id or not (reason or "").strip():
        raise ForgetError("say who, and with --reason why")
    if user_id in str(reason):
        raise ForgetError("the reason names the user, and it is kept: write another one")
    if journal is None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        journal = Journal(user_id, str(reason), now)
        journal.begin(warehouse)
    return journal


def forget(platform: Platform, instance: dg.DagsterInstance, journal: Journal, say: Say) -> None:
    """Do what the journal has not done yet, then shred it.

    Raises:
        ForgetError: the models cannot be made again; everything with the id is gone all the same,
            and the same call goes on.
    """
    warehouse = platform.settings.warehouse

    def step(name: str, work: Callable[[], object]) -> None:
        if name not in journal.done:
            work()
            journal.finish(name, warehouse)
            say(f"{name}: done")

    step("events deleted", lambda: erase_events(platform, journal))
    step("chunks rewritten", lambda: rewrite_chunks(platform, journal))
    step("rows of tables deleted", lambda: erase_taken(platform, journal))
    step("models that know the user removed", lambda: _remove_models(platform, journal, say))
    step("rows deleted", lambda: erase_rows(platform, journal))
    step("days ingested again", lambda: _ingest(platform, journal))
    ratings = partial(share_ratings, platform.warehouse, platform.chunk_archive)
    step("ratings in the object store rewritten", ratings)
    step("production reconciled", lambda: _reconcile(platform, instance, say))
    step("databases written anew", lambda: scrub_databases(platform, journal))
    step("logs and events cleaned", lambda: scrub_files(platform, journal))
    step("models made again", lambda: _train(platform, instance, journal, say))
    step("production published", lambda: _publish(platform, say))
    # What the runs above have logged cannot name the user; what was open meanwhile might.
    scrub_databases(platform, journal)
    scrub_files(platform, journal)
    if not journal.days:
        say("no delivered file had this id: is it written as the files have it?")
    left = list(left_in(warehouse, Traces(journal.user_id)))
    for file in left[:SHOWN]:
        say(f"the id may still be in {file}: look at it, and remove the file or the line")
    journal.shred(warehouse)
    for place in platform.settings.kept_elsewhere:
        say(f"{place} was not searched: look there for the id yourself")
    if store := platform.settings.object_store:
        say(f"{store}: chunks, ratings, events and lists are rewritten, models removed, too")
        say("a bucket that keeps old versions of objects holds the user still: delete those")
    if bucket := platform.settings.landing_bucket:
        said = (
            "take the user out of its files before the daemon starts again: it brings what changes"
        )
        say(f"{bucket} was not searched: {said}")
    say("backups made before hold the user still: delete them")
    say("downloads in warehouse/cache/, endpoints' own logs and other machines are yours to clean")


def _remove_models(platform: Platform, journal: Journal, say: Say) -> None:
    numbers = remove_models(platform, journal)
    if numbers:
        say(f"versions removed: {', '.join(map(str, numbers))}")


def _ingest(platform: Platform, journal: Journal) -> None:
    """The rewritten days from the archive, by the code that ingests deliveries."""
    days = set(journal.days)
    known = {chunk.sha256 for chunks in platform.warehouse.chunks().values() for chunk in chunks}
    receipts = [receipt for receipt in platform.chunk_archive.receipts.all() if receipt.day in days]
    if any(receipt.sha256 not in known for receipt in receipts):
        problems = replay(platform, receipts)
        if problems:
            raise ForgetError(f"days could not be ingested again: {'; '.join(problems)}")


def _reconcile(platform: Platform, instance: dg.DagsterInstance, say: Say) -> None:
    production = reconcile_production(instance, platform.model_registry, "movierec forget")
    fallback = f"version {production}, which never knew the user" if production else "none"
    say(f"production until new models are made: {fallback}")


def _train(platform: Platform, instance: dg.DagsterInstance, journal: Journal, say: Say) -> None:
    """Each day without a model from the first rewritten one, the newest month first."""
    ledger = platform.warehouse.chunks()
    days = [day for day in sorted(ledger) if day >= min(journal.days, default="~")]
    if not days:
        return
    month = [day for day in days if day[:7] == days[-1][:7]]
    assets = (f"{platform.warehouse.arm}_model", *AFTER_TRAINING)
    problems: list[str] = []
    for part in (month, [day for day in days if day < month[0]]):
        if part:
            say(f"training {part[0]} to {part[-1]}")
            problems += run_days(instance, part[0], part[-1], *assets)
    if problems:
        raise ForgetError(
            f"everything with the id is gone, and not all models are made again: "
            f"{'; '.join(problems)}; `movierec forget --resume` tries again"
        )


def _publish(platform: Platform, say: Say) -> None:
    """Publish production, and have every endpoint that answers load it."""
    restore_publications(platform)
    production = platform.model_registry.production()
    if production is None:
        say("nothing is in production: no version has passed the gate")
        return
    say(f"production is version {production.number}, data until {production.data_until}")
    for url in platform.serving_client.endpoints:
        try:
            platform.serving_client.reload(url, production.number)
            say(f"{url} serves it")
        except EndpointError as error:
            say(f"{error}: the deployment's sensor sees to it when the platform runs")
