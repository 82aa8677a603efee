"""The platform's assets run from the command line, by the jobs and the code that Dagster runs."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from movierec_assets.definitions import assemble, resources
from movierec_assets.defs.ingestion import raw_ratings
from movierec_assets.defs.shared.runs import UNKNOWN, told_by
from movierec_assets.defs.validation import validated_ratings
from movierec_assets.maintenance.known import read_by
from movierec_assets.partitions import RANGE_END, RANGE_START, contiguous, daily
from movierec_assets.platform import Platform, wired
from movierec_assets.resources.stores.receipts import Receipt
from movierec_assets.resources.stores.replayed_zone import ReplayedZone

# What a command did it says itself; Dagster's log of the run is on the run's page.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_runs = itertools.count()


def job_named(name: str, run: int) -> dg.JobDefinition:
    """A job of the definitions; Dagster remembers it, so that each run has one of its own."""
    return assemble(wired()).resolve_job_def(name)


def run_days(instance: dg.DagsterInstance, first: str, last: str, *assets: str) -> list[str]:
    """Run the daily job, or these of its assets, over a range of days; why it failed, if it did."""
    result = dg.execute_job(
        _job("daily"),
        instance,
        run_config=QUIET,
        tags={RANGE_START: first, RANGE_END: last},
        asset_selection=[dg.AssetKey(asset) for asset in assets] or None,
    )
    return list(_failures(result.all_node_events))


def run_catalogue(instance: dg.DagsterInstance) -> list[str]:
    """Read movies.csv again; why it failed, if it did."""
    result = dg.execute_job(_job("catalogue"), instance, run_config=QUIET)
    return list(_failures(result.all_node_events))


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
    archive = platform.chunk_archive
    for rounds in _rounds(platform, receipts):
        with tempfile.TemporaryDirectory(prefix="movierec-replay-") as folder:
            landing = ReplayedZone(path=folder, archive=archive.path, read_by=rounds.read_by)
            for receipt in rounds.receipts:
                target = Path(folder) / receipt.path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(receipt.day, receipt.sha256))
            adapters = {**resources(platform), "landing_zone": landing}
            days = {receipt.day for receipt in rounds.receipts}
            for first, last in contiguous(daily.get_partition_keys(), days):
                with dg.DagsterInstance.ephemeral() as instance:
                    result = dg.materialize(
                        [raw_ratings, validated_ratings],
                        instance=instance,
                        resources=adapters,
                        run_config=QUIET,
                        tags={RANGE_START: first, RANGE_END: last},
                        raise_on_error=False,
                    )
                problems += _failures(result.all_node_events)
    return problems


@dataclass
class _Round:
    """Receipts of which no day and folder has two, and no source two declarations.

    Attributes:
        read_by: the digest of each source's declaration; "" where it has none.
    """

    receipts: list[Receipt] = field(default_factory=list)
    read_by: dict[str, str] = field(default_factory=dict)
    filled: set[tuple[str, str]] = field(default_factory=set)

    def takes(self, receipt: Receipt, source: str, digest: str) -> bool:
        free = (receipt.day, source) not in self.filled
        return free and self.read_by.get(source, digest) == digest

    def add(self, receipt: Receipt, source: str, digest: str) -> None:
        self.receipts.append(receipt)
        self.filled.add((receipt.day, source))
        self.read_by[source] = digest


def _rounds(platform: Platform, receipts: Sequence[Receipt]) -> list[_Round]:
    """The receipts in as few parts as can be; those of a day and source keep their order."""
    rounds: list[_Round] = []
    after: dict[tuple[str, str], int] = {}  # the first part that is free, by day and source
    for receipt in receipts:
        source = Path(receipt.path).parts[0]
        declared = read_by(platform, receipt)
        digest = platform.chunk_archive.store_declaration(source, declared) if declared else ""
        key = (receipt.day, source)
        place = after.get(key, 0)
        while place < len(rounds) and not rounds[place].takes(receipt, source, digest):
            place += 1
        if place == len(rounds):
            rounds.append(_Round())
        rounds[place].add(receipt, source, digest)
        after[key] = place + 1
    return rounds


def _failures(events: Sequence[dg.DagsterEvent]) -> Iterator[str]:
    for event in events:
        if event.is_step_failure:
            yield told_by(event) or f"{event.step_key}: {UNKNOWN}"
