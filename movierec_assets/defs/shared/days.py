"""A range of days in one run: each day has its own metadata, and a failed day does not take the
others along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import dagster as dg
from threadpoolctl import threadpool_limits

from movierec_assets.defs.shared.metadata import Metadata, table
from movierec_assets.defs.shared.tags import DAYS
from movierec_assets.partitions import days_of
from movierec_assets.resources.dagster_instance import RECORDED_ALREADY
from movierec_serving import tracing

# Stages go on when the one before them has handed over what it finished, although it ends as
# failed.
executor = dg.in_process_executor.configured(
    {"step_dependency_config": {"require_upstream_step_success": False}}
)
Work = Callable[[str], None]
Describe = Callable[[list[str]], Mapping[str, Metadata]]
Check = Callable[[], dg.AssetCheckResult]
Results = Iterator[dg.MaterializeResult[Any]]


def each_day(
    context: dg.AssetExecutionContext,
    work: Work,
    describe: Describe,
    *,
    ordered: bool = False,
    checks: Sequence[Check] = (),
) -> Results:
    """Run `work` for each day of the run's range, oldest first, and attach metadata to each day.

    A day that fails is not recorded, is not tried by the stages after this one, and fails the run
    in the end; the others are recorded and go on. A kill records nothing, which is why `work` skips
    what is current.

    Args:
        describe: gives the metadata of the finished days, all at once.
        ordered: a day needs the one before, so that the range stops at the first failure; else it
            goes on.
        checks: give the results of the asset's checks, when all days are through.

    Raises:
        dg.Failure: naming each day that is not done and why.
    """
    days = context.partition_keys
    name_days(context)
    lost = _lost_before(context)
    done: list[str] = []
    try:
        stage = tracing.span(context.asset_key.to_user_string(), tracing.of_run(context.run.run_id))
        # More threads than one only spin at products this small.
        with threadpool_limits(1, "blas"), stage:
            for day in days:
                if day in lost:
                    continue
                with tracing.span("day", partition=day):
                    cause = _failure_of(context, work, day)
                if cause is None:
                    done.append(day)
                else:
                    lost |= _with_later_ones(day, cause, days, lost if ordered else None)
    finally:  # also when the run is cancelled
        complete = len(done) == len(days)
        _record(context, describe(done) if done else {}, complete)
    yield dg.MaterializeResult(
        metadata={} if complete else {RECORDED_ALREADY: True},
        check_results=[check() for check in checks],
    )
    if lost:
        raise _naming({day: lost[day] for day in days if day in lost}, len(days))


def name_days(context: dg.AssetExecutionContext) -> None:
    """Show the run's days in the list of runs; Dagster's own tags of them are hidden there."""
    days = days_of(context.run.tags)
    if days is not None and DAYS not in context.run.tags:
        context.instance.add_run_tags(context.run.run_id, {DAYS: days})


def _failure_of(context: dg.AssetExecutionContext, work: Work, day: str) -> str | None:
    """Do a day's work; why it failed, or None."""
    try:
        work(day)
    except Exception as error:
        context.log.exception(f"{day} failed")
        return f"{type(error).__name__}: {error}"
    return None


def _with_later_ones(
    day: str, cause: str, days: Sequence[str], lost: Mapping[str, str] | None
) -> dict[str, str]:
    """Add to a failed day, where the order matters, the days that need it.

    Args:
        lost: those that are known already, which keep their cause; None where each day stands
            alone.
    """
    failed = {day: cause}
    if lost is not None:
        later = days[days.index(day) + 1 :]
        failed |= {
            later_day: f"not tried, it needs {day}" for later_day in later if later_day not in lost
        }
    return failed


def _record(
    context: dg.AssetExecutionContext, described: Mapping[str, Metadata], complete: bool
) -> None:
    """Attach each finished day's metadata: to the output, or, if a day is missing, as an event."""
    for day, metadata in described.items():
        if complete:
            context.add_asset_metadata(metadata, partition_key=day)
        else:
            finished = dg.AssetMaterialization(context.asset_key, partition=day, metadata=metadata)
            context.log_event(finished)


def _naming(lost: Mapping[str, str], days: int) -> dg.Failure:
    """The failure of a run, as which the stages after this one read the days that they skip."""
    causes = []
    for cause, alike in groupby(lost, lost.__getitem__):  # a month that waits for a day is one part
        first, *more = alike
        others = f" and {len(more)} more up to {more[-1]}" if more else ""
        causes.append(f"{first}{others}: {cause}")
    return dg.Failure(
        f"{len(lost)} of {days} days are not done, the others are recorded: {'; '.join(causes)}",
        metadata={"failed": table(("day", "cause"), lost.items())},
        allow_retries=False,
    )


def _lost_before(context: dg.AssetExecutionContext) -> dict[str, str]:
    """The days that stages of this run before this one did not finish, each with the stage.

    Only those that it follows from: a policy that cannot be trained must not keep production's own
    model of the day from the gate.
    """
    graph = context.job_def.asset_layer.asset_graph
    before = {"__".join(key.path) for key in graph.get_ancestor_asset_keys(context.asset_key)}
    failures = context.instance.all_logs(
        context.run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE
    )
    lost: dict[str, str] = {}
    for event in (entry.get_dagster_event() for entry in failures):
        if event.step_key not in before:
            continue
        given = event.step_failure_data.user_failure_data
        failed = given.metadata.get("failed") if given else None
        if isinstance(failed, dg.TableMetadataValue):
            stage = f"not done by {event.step_key}"
            lost = {str(row.data["day"]): stage for row in failed.records} | lost
    return {day: lost[day] for day in context.partition_keys if day in lost}
