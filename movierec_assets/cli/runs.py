"""The platform's assets run from the command line, by the jobs and the code that Dagster runs."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from movierec_assets.definitions import assemble, resources
from movierec_assets.defs.ingestion import raw_ratings
from movierec_assets.defs.validation import validated_ratings
from movierec_assets.partitions import RANGE_END, RANGE_START, contiguous, daily
from movierec_assets.platform import Platform, wired
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.resources.stores.receipts import Receipt

_runs = itertools.count()


def job_named(name: str, run: int) -> dg.JobDefinition:
    """A job of the definitions; Dagster remembers it, so that each run has one of its own."""
    return assemble(wired()).resolve_job_def(name)


def run_days(instance: dg.DagsterInstance, first: str, last: str, *assets: str) -> list[str]:
    """Run the daily job, or these of its assets, over a range of days; why it failed, if it did."""
    result = dg.execute_job(
        _job("daily"),
        instance,
        tags={RANGE_START: first, RANGE_END: last},
        asset_selection=[dg.AssetKey(asset) for asset in assets] or None,
    )
    return list(_failures(result.all_node_events))


def run_catalogue(instance: dg.DagsterInstance) -> list[str]:
    """Read movies.csv again; why it failed, if it did."""
    return list(_failures(dg.execute_job(_job("catalogue"), instance).all_node_events))


def _job(name: str) -> Any:
    """The job, for its own executor: a stage goes on with the days that the one before finished."""
    arguments: Any = (name, next(_runs))
    return dg.build_reconstructable_job(__name__, "job_named", arguments)


def replay(platform: Platform, receipts: Sequence[Receipt]) -> list[str]:
    """Ingest and validate archived chunks as if they were delivered again, in this order.

    They are laid into a landing zone of their own, of each day one chunk at a time, and go through
    the assets that ingest deliveries: what was refused is refused again, what was current becomes
    current. Dagster's history does not show it.

    Returns:
        Why a day could not be ingested.
    """
    problems: list[str] = []
    for rounds in _rounds(receipts):
        with tempfile.TemporaryDirectory(prefix="movierec-replay-") as folder:
            declared = str(platform.landing_zone.declared_in)
            landing = LandingZone(path=folder, declarations=declared)
            for receipt in rounds:
                target = Path(folder) / receipt.path
                target.parent.mkdir(parents=True, exist_ok=True)
                content = platform.chunk_archive.read(receipt.day, receipt.sha256)
                target.write_bytes(content)
            adapters = {**resources(platform), "landing_zone": landing}
            days = {receipt.day for receipt in rounds}
            for first, last in contiguous(daily.get_partition_keys(), days):
                with dg.DagsterInstance.ephemeral() as instance:
                    result = dg.materialize(
                        [raw_ratings, validated_ratings],
                        instance=instance,
                        resources=adapters,
                        tags={RANGE_START: first, RANGE_END: last},
                        raise_on_error=False,
                    )
                problems += _failures(result.all_node_events)
    return problems


def _rounds(receipts: Sequence[Receipt]) -> Iterator[list[Receipt]]:
    """The receipts, cut so that no day and folder has two in a part; their order stays."""
    rounds: list[list[Receipt]] = []
    depth: dict[tuple[str, Path], int] = {}
    for receipt in receipts:
        key = (receipt.day, Path(receipt.path).parent)
        place = depth.get(key, 0)
        depth[key] = place + 1
        if place == len(rounds):
            rounds.append([])
        rounds[place].append(receipt)
    yield from rounds


def _failures(events: Sequence[dg.DagsterEvent]) -> Iterator[str]:
    for event in events:
        if event.is_step_failure:
            failure = event.step_failure_data
            given = failure.user_failure_data
            why = given.description if given is not None else None
            if why is None and failure.error is not None:
                why = (failure.error.cause or failure.error).message.strip().splitlines()[0]
            yield f"{event.step_key}: {why}"
