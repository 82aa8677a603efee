"""A range of days in one run: each day has its own metadata, and a failed day does not take the
others along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg
from threadpoolctl import threadpool_limits

# On an output it keeps Dagster from recording all of the range's days: what a step that fails has
# finished is recorded day by day. Dagster's own use of it is for source assets that log their
# events themselves.
_RECORDED_ALREADY = "__source_asset_observation__"
# Stages go on when the one before them has handed over what it finished, although it ends as
# failed.
executor = dg.in_process_executor.configured(
    {"step_dependency_config": {"require_upstream_step_success": False}}
)
Metadata = Mapping[str, Any]
Describe = Callable[[list[str]], Mapping[str, Metadata]]
Results = Iterator[dg.MaterializeResult[Any]]


def each_day(
    context: dg.AssetExecutionContext,
    work: Callable[[str], None],
    describe: Describe,
    *,
    ordered: bool = False,
    check: Callable[[], dg.AssetCheckResult] | None = None,
) -> Results:
    """Run `work` for each day of the run's range, oldest first, and attach metadata to each day.

    A day that fails is not recorded, is not tried by the stages after this one, and fails the run
    in the end; the others are recorded and go on. A kill records nothing, which is why `work` skips
    what is current.

    Args:
        describe: gives the metadata of the finished days, all at once.
        ordered: a day needs the one before, so that the range stops at the first failure; else it
            goes on.
        check: gives the result of the asset's check, when all days are through.

    Raises:
        dg.Failure: naming each day that is not done and why.
    """
    days = context.partition_keys
    lost = _lost_before(context)
    done: list[str] = []
    try:
        with threadpool_limits(1, "blas"):  # more threads only spin at products this small
            for day in days:
                if day in lost:
                    continue
                try:
                    work(day)
                    done.append(day)
                except Exception as error:
                    context.log.exception(f"{day} failed")
                    lost[day] = f"{type(error).__name__}: {error}"
                    if ordered:
                        later = days[days.index(day) + 1 :]
                        lost |= {
                            one: f"not tried, it needs {day}" for one in later if one not in lost
                        }
    finally:  # also when the run is cancelled
        complete = len(done) == len(days)
        for day, metadata in describe(done).items() if done else ():
            if complete:
                context.add_asset_metadata(metadata, partition_key=day)
            else:
                context.log_event(
                    dg.AssetMaterialization(context.asset_key, partition=day, metadata=metadata)
                )
    yield dg.MaterializeResult(
        metadata={} if complete else {_RECORDED_ALREADY: True},
        check_results=[check()] if check else [],
    )
    if lost:
        raise dg.Failure(
            f"{len(days) - len(done)} of {len(days)} days are not done, the others are recorded: "
            + "; ".join(f"{day}: {lost[day]}" for day in days if day in lost),
            metadata={"failed": table(("day", "cause"), lost.items())},
            allow_retries=False,
        )


def _lost_before(context: dg.AssetExecutionContext) -> dict[str, str]:
    """The days that earlier stages of this run did not finish, each with the stage."""
    failures = context.instance.all_logs(
        context.run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE
    )
    lost: dict[str, str] = {}
    for event in (entry.get_dagster_event() for entry in failures):
        given = event.step_failure_data.user_failure_data
        failed = given.metadata.get("failed") if given else None
        if isinstance(failed, dg.TableMetadataValue):
            lost = {
                str(one.data["day"]): f"not done by {event.step_key}" for one in failed.records
            } | lost
    return {day: lost[day] for day in context.partition_keys if day in lost}


def table(columns: tuple[str, ...], rows: Any) -> dg.TableMetadataValue:
    """A table for Dagster's UI from rows of values."""
    schema = dg.TableSchema([dg.TableColumn(name) for name in columns])
    return dg.MetadataValue.table(
        [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows], schema
    )
