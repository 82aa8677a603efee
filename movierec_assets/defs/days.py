"""A range of days in one run: each day has its own metadata, and a failed day does not take the others along."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

Metadata = Mapping[str, Any]
Describe = Callable[[list[str]], Mapping[str, Metadata]]


def each_day(
    context: dg.AssetExecutionContext,
    work: Callable[[str], None],
    describe: Describe,
    *,
    ordered: bool = False,
) -> None:
    """Run `work` for each day of the run's range, oldest first, and attach metadata to each day.

    If a day fails, the days that finished are recorded as materialized before the run ends as failed, so that
    a second launch resumes; a kill records nothing, which is why `work` skips what is current.

    Args:
        describe: gives the metadata of the finished days, all at once.
        ordered: a day needs the one before, so that the range stops at the first failure; else it goes on.

    Raises:
        dg.Failure: naming each failed day and why.
    """
    days = list(context.partition_keys)
    done: list[str] = []
    failed: dict[str, str] = {}
    finished = False
    try:
        for day in days:
            try:
                work(day)
                done.append(day)
            except Exception as error:
                context.log.exception(f"{day} failed")
                failed[day] = f"{type(error).__name__}: {error}"
                if ordered:
                    break
        finished = not failed
    finally:  # also when the run is cancelled
        metadata = describe(done) if done else {}
        for day in done:
            if finished:
                context.add_asset_metadata(metadata[day], partition_key=day)
            else:  # a step that fails has no output, and Dagster would record none of its days
                context.log_event(
                    dg.AssetMaterialization(context.asset_key, partition=day, metadata=metadata[day])
                )
    if failed:
        causes = "; ".join(f"{day}: {cause}" for day, cause in failed.items())
        raise dg.Failure(
            description=f"{len(failed)} of {len(days)} days failed, {len(done)} are recorded, "
            f"{len(days) - len(done) - len(failed)} not tried. {causes}",
            metadata={"failed": table(("day", "cause"), failed.items())},
        )


def table(columns: tuple[str, ...], rows: Any) -> dg.TableMetadataValue:
    """A table for Dagster's UI from rows of values."""
    schema = dg.TableSchema([dg.TableColumn(name) for name in columns])
    return dg.MetadataValue.table(
        [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows], schema
    )
