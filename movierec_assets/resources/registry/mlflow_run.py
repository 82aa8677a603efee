"""The MLflow run of a Dagster run, by dagster-mlflow, ended whatever happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast

import dagster as dg

from movierec_assets.partitions import days_of
from movierec_assets.resources.notifier import webserver
from movierec_assets.resources.registry.model_registry import NOTE, ModelRegistry
from movierec_assets.resources.registry.registry_reader import EXPERIMENT

OWNERLESS_S = 600.0
OUR_JOBS = ("daily", "tuning", "__ASSET_JOB")  # dagster-mlflow names a run after its job


@dg.resource(
    required_resource_keys={"model_registry"},
    description="dagster-mlflow's resource, and the run's end",
)
def mlflow_run(context: dg.InitResourceContext) -> Iterator[Any]:
    """dagster-mlflow's `mlflow_tracking` with a parent run for this Dagster run.

    dagster-mlflow ends its run by a hook on a job; a click in the UI or a backfill has no such
    hook, and the run stays RUNNING and swallows the next one of the process. Here the end of the
    resource ends it.
    """
    import mlflow
    from dagster_mlflow import mlflow_tracking

    registry: ModelRegistry = context.resources.model_registry
    assert context.instance is not None
    assert context.run is not None
    registry.initialise()
    sweep(registry, context.instance)
    config = {
        "experiment_name": EXPERIMENT,
        "mlflow_tracking_uri": registry.tracking_uri,
        "env": {},
        "extra_tags": {},
    }
    tracking = cast(Any, mlflow_tracking).resource_fn(context.replace_config(config))
    try:
        opened = next(tracking)
        # After its tags: one without an owner is recognised by the name that it was given first.
        name = f"{days_of(context.run.tags) or context.run.job_name}, run {context.run.run_id[:8]}"
        url = f"{webserver()}/runs/{context.run.run_id}"
        mlflow.set_tags({"mlflow.runName": name, NOTE: f"[Dagster's run]({url})"})
        yield opened
    finally:
        steps = context.instance.get_run_step_stats(context.run.run_id)
        failed = any(step.status is not None and step.status.value == "FAILURE" for step in steps)
        while mlflow.active_run() is not None:
            mlflow.end_run("FAILED" if failed else "FINISHED")


def sweep(registry: ModelRegistry, instance: dg.DagsterInstance) -> list[str]:
    """End MLflow runs that a killed process left RUNNING: those whose Dagster run is over. Returns
    their ids.

    A run whose owner is not known here is another instance's, on a shared server, and is left; one
    without an owner died before its tags were set.
    """
    client = registry.client()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return []
    running = client.search_runs(
        [experiment.experiment_id], "attributes.status = 'RUNNING'", max_results=1000
    )
    swept = []
    for run in running:
        parent = run.data.tags.get("mlflow.parentRunId")
        owner = (client.get_run(parent) if parent else run).data.tags.get("dagster_run_id")
        record = instance.get_run_by_id(owner) if owner else None
        age_s = time.time() - run.info.start_time / 1000
        abandoned = owner is None and run.info.run_name in OUR_JOBS and age_s > OWNERLESS_S
        if abandoned or (record is not None and record.is_finished):
            client.set_terminated(run.info.run_id, "KILLED")
            swept.append(run.info.run_id)
    return swept
