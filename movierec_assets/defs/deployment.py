"""Deployment: the production version published and live on every endpoint."""

import json
import time
from datetime import timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd

from movierec_assets.defs.ingestion import movies
from movierec_assets.defs.monitoring.live import live_answers, report_accuracy
from movierec_assets.defs.promotion import PRODUCTION, reconcile_production, reported_production
from movierec_assets.defs.shared.days import table
from movierec_assets.errors import EndpointError
from movierec_assets.resources.notifier import Notifier
from movierec_assets.resources.registry.model_registry import ModelRegistry
from movierec_assets.resources.serving_client import Reload, ServingClient
from movierec_assets.resources.stores.bundle_store import BundleStore
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_serving.bundle import BundleError, Movie, PublishedModel, publish

ATTEMPT, VERSION = "movierec/attempt", "movierec/version"
UNFINISHED = [
    one for one in dg.DagsterRunStatus if one.value not in ("SUCCESS", "FAILURE", "CANCELED")
]
LONGEST_PAUSE_S = 300.0  # between attempts at an endpoint that stays down


@dg.asset(
    deps=[PRODUCTION, movies],
    group_name="deployment",
    kinds={"litserve"},
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=48)),
)
def served_model(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    bundle_store: BundleStore,
    model_registry: ModelRegistry,
    serving_client: dg.ResourceParam[ServingClient],
    notifier: dg.ResourceParam[Notifier],
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The production version, published with each user's best unseen movies and acknowledged by
    every endpoint.

    The lists are also the table `served_model`. An endpoint that does not acknowledge fails the
    run, by name; the others have the new version all the same, and the sensor asks again.
    """
    # What somebody moved by hand, or a crash left half done, is mended before it is deployed.
    reconcile_production(context.instance, model_registry, f"deploy, run {context.run.run_id}")
    production = model_registry.production()
    if production is None:
        raise dg.Failure(
            "nothing is in production yet: no version has passed the gate", allow_retries=False
        )
    catalogue = {key: Movie(key, title, tuple(genres)) for key, title, genres in warehouse.movies()}
    store = Path(bundle_store.root) / "models"
    try:
        publish(bundle_store.served(production.identity), store, production.number, catalogue)
    except BundleError as error:
        raise dg.Failure(
            f"nothing can be deployed, the bundle is damaged: {error}; materialize als_model of "
            f"{production.data_until} again. The endpoints keep what they serve",
            allow_retries=False,
        ) from error
    report_accuracy(context, warehouse, bundle_store, serving_client, notifier)
    done: list[Reload] = []
    failed: dict[str, str] = {}
    for url in serving_client.endpoints:
        try:
            done.append(serving_client.reload(url, production.number))
        except EndpointError as error:
            failed[url] = str(error)
            context.log.error(str(error))
    rows = _write_table(warehouse, PublishedModel.open(store, production.number)) if done else 0
    if failed:
        raise dg.Failure(
            f"{len(failed)} of {len(serving_client.endpoints)} endpoints did not reload: "
            + "; ".join(failed.values()),
            metadata={"failed": table(("endpoint", "cause"), failed.items())},
            allow_retries=False,  # the sensor asks again, with a new run for each attempt
        )
    reloads = [(one.url, one.previous or 0, one.changed, round(one.seconds, 4)) for one in done]
    return dg.MaterializeResult(
        metadata={
            "version": production.number,
            "data until": production.data_until,
            "dagster/row_count": rows,
            "endpoints": table(("endpoint", "previous", "changed", "seconds"), reloads),
        }
    )


def _write_table(warehouse: Warehouse, published: PublishedModel) -> int:
    """Each user's list as rows, for whoever reads recommendations in DuckDB."""
    bundle = published.bundle
    users, ranks = np.nonzero(np.asarray(published.top_items) >= 0)
    items = published.top_items[users, ranks]
    columns = {
        "user_id": np.char.decode(bundle.user_ids[users], "utf-8"),
        "rank": ranks + 1,
        "movie_id": np.char.decode(bundle.item_ids[items], "utf-8"),
        "score": published.top_scores[users, ranks],
    }
    warehouse.replace_served(published.version, pd.DataFrame(columns))
    return len(users)


deploy_job = dg.define_asset_job(
    "deploy",
    description="Publish production, reload every endpoint, ask each for the lists of a sample of "
    "users.",
    selection=dg.AssetSelection.assets(served_model).without_checks()
    | dg.AssetSelection.checks(live_answers),
)


@dg.sensor(
    job=deploy_job,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Compares production with what each endpoint serves, and asks for a deployment "
    "until they agree.",
)
def deploy_production(
    context: dg.SensorEvaluationContext,
    serving_client: dg.ResourceParam[ServingClient],
    notifier: dg.ResourceParam[Notifier],
) -> dg.SensorResult | dg.SkipReason:
    """Reconciles: a server that was down, or came up empty, converges by itself; pauses double,
    none is the last.

    An endpoint that answers again is tried at once: to wait is for causes that cannot be seen from
    here.
    """
    wanted = reported_production(context.instance)
    if wanted is None:
        return dg.SkipReason("nothing is in production yet")
    differ: list[str] = []
    down: list[str] = []
    for url in serving_client.endpoints:
        try:
            if (served := serving_client.served(url)) != wanted:
                differ.append(f"{url} serves {served or 'nothing'}")
        except EndpointError as error:
            differ.append(str(error))
            down.append(url)
    state = json.loads(context.cursor or "{}")
    if not differ:
        if state.get("attempt", 1) > 1:  # its failure was told of
            notifier.send(
                f"every endpoint serves version {wanted} again, after {state['attempt']} attempts"
            )
        return dg.SensorResult(cursor="", skip_reason=f"every endpoint serves version {wanted}")
    unfinished = dg.RunsFilter(job_name=deploy_job.name, statuses=UNFINISHED)
    if under_way := context.instance.get_runs(unfinished, limit=1):
        return dg.SkipReason(f"run {under_way[0].run_id[:8]} is deploying")
    attempt = state["attempt"] + 1 if state.get("version") == wanted else 1
    now = time.time()
    if attempt > 1 and now < state["not_before"] and not set(state["down"]) - set(down):
        reason = f"attempt {attempt} in {state['not_before'] - now:.0f} s: {'; '.join(differ)}"
        return dg.SensorResult(cursor=json.dumps({**state, "down": down}), skip_reason=reason)
    pause = min(5.0 * 2 ** min(attempt - 1, 10), LONGEST_PAUSE_S)
    cursor = {"version": wanted, "attempt": attempt, "not_before": now + pause, "down": down}
    key, tags = (
        f"version-{wanted}-attempt-{attempt}-{now:.0f}",
        {VERSION: str(wanted), ATTEMPT: str(attempt)},
    )
    return dg.SensorResult([dg.RunRequest(key, tags=tags)], cursor=json.dumps(cursor))
