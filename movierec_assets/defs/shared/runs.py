"""A run in words: which days it is of, whether it ended, and why it failed. Read from its tags and
events.
"""

from __future__ import annotations

import dagster as dg

from movierec_assets.partitions import days_of

UNKNOWN = "for an unknown reason"
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
UNFINISHED = [status for status in dg.DagsterRunStatus if status.value not in ENDED]


def subject(run: dg.DagsterRun) -> str:
    """Name a run as a person would: `daily of 1998-03-02 to 1998-03-06`."""
    # A run that was asked for by assets, in the UI or by a backfill, has a job without a name.
    name = "materialization" if run.job_name.startswith("__") else run.job_name
    days = days_of(run.tags)
    return f"{name} of {days}" if days else name


def cause(instance: dg.DagsterInstance, run_id: str) -> str:
    """Say what failed in a run, in a sentence."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    for event in [entry.get_dagster_event() for entry in instance.all_logs(run_id, of_type=kinds)]:
        if not event.is_step_failure:
            return event.message or UNKNOWN
        if said := told_by(event):
            return said
    return UNKNOWN


def told_by(failed: dg.DagsterEvent) -> str | None:
    """Say which step failed and why, by its `dg.Failure`, else by its error; None without both."""
    failure = failed.step_failure_data
    if failure.user_failure_data is not None and failure.user_failure_data.description:
        return f"{failed.step_key}: {failure.user_failure_data.description}"
    if failure.error is not None:
        error = failure.error.cause or failure.error
        return f"{failed.step_key}: {error.message.strip().splitlines()[0]}"
    return None
