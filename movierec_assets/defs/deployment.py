"""Deployment: the production version published and live on every endpoint."""

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta

import dagster as dg
import numpy as np
import pandas as pd

from movierec_assets.defs.shared.accuracy import report_accuracy
from movierec_assets.defs.shared.header import GROUP, OWNERS, STAGE
from movierec_assets.defs.shared.keys import MOVIES, PRODUCTION_MODEL, SERVED_MODEL
from movierec_assets.defs.shared.metadata import table
from movierec_assets.defs.shared.production import reconcile_production, reported_model
from movierec_assets.defs.shared.runs import UNFINISHED
from movierec_assets.defs.shared.tags import ATTEMPT, VERSION
from movierec_assets.errors import EndpointError
from movierec_assets.platform import Platform
from movierec_assets.ports import Notices
from movierec_assets.promotion.rollout import Attempt, Attempts, Endpoints, Settled, Wait, next_step
from movierec_assets.promotion.version import Version
from movierec_assets.resources.serving_client import Reload, ServedVersion, ServingClient
from movierec_assets.resources.spark_driver import with_pipes
from movierec_assets.resources.spark_lists import placed_lists
from movierec_serving import tracing
from movierec_serving.bundle import BundleError, PublishedModel
from movierec_serving.bundle.everybody import ListsOf, blocks_of

FRESH_FOR = timedelta(hours=48)


@dg.asset(
    deps=[PRODUCTION_MODEL, MOVIES],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"litserve"},
    tags={STAGE: "deployment"},
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=FRESH_FOR),
)
def served_model(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The production version, published with each user's best unseen movies and acknowledged by
    every endpoint.

    The lists are also the table `served_model`. An endpoint that does not acknowledge fails the
    run, by name; the others have the new version all the same, and the sensor asks again.
    """
    registry, client = platform.model_registry, platform.serving_client
    # What somebody moved by hand, or a crash left half done, is mended before it is deployed.
    reconcile_production(context.instance, registry, "deploy", context.run.run_id)
    production = registry.production()
    if production is None:
        raise dg.Failure(
            "nothing is in production yet: no version has passed the gate", allow_retries=False
        )
    _publish(production, platform, placed_lists(platform.settings, with_pipes(context)))
    report_accuracy(context, platform)
    with tracing.span("deploy", tracing.of_run(context.run.run_id), version=production.number):
        done, failed = _reload(context, client, production.number)
    published, rows = platform.published_models, 0
    if done:
        lists = _as_rows(published.open(production.number))
        rows = platform.warehouse.replace_served(production.number, lists)
    if failed:
        raise dg.Failure(
            f"{len(failed)} of {len(client.endpoints)} endpoints did not reload: "
            + "; ".join(failed.values()),
            metadata={"failed": table(("endpoint", "cause"), failed.items())},
            allow_retries=False,  # the sensor asks again, with a new run for each attempt
        )
    reloads = [
        (outcome.url, outcome.previous or 0, outcome.changed, round(outcome.seconds, 4))
        for outcome in done
    ]
    return dg.MaterializeResult(
        metadata={
            "version": production.number,
            "data until": production.data_until,
            "dagster/row_count": rows,
            "endpoints": table(("endpoint", "previous", "changed", "seconds"), reloads),
            "what they serve": dg.MetadataValue.md(_links(client.endpoints)),
            "MLflow version": dg.MetadataValue.url(registry.page(production.number)),
        }
    )


def _publish(production: Version, platform: Platform, lists_of: ListsOf) -> None:
    """Put production where endpoints find it; dg.Failure if its bundle is damaged."""
    bundle, warehouse = platform.bundle_store.served(production.identity), platform.warehouse
    try:
        catalogue = warehouse.catalogue()
        platform.published_models.publish(bundle, production.number, catalogue, lists_of)
        platform.published_models.name_production(production.number)
    except BundleError as error:
        trained = warehouse.model(production.identity)
        asset = f"{trained.arm if trained else warehouse.arm}_model"
        raise dg.Failure(
            f"nothing can be deployed, the bundle is damaged: {error}; materialize {asset} of "
            f"{production.data_until} again. The endpoints keep what they serve",
            allow_retries=False,
        ) from error


def _reload(
    context: dg.AssetExecutionContext, client: ServingClient, version: int
) -> tuple[list[Reload], dict[str, str]]:
    """Reload each endpoint; what was acknowledged, and why the others failed."""
    done: list[Reload] = []
    failed: dict[str, str] = {}
    for url in client.endpoints:
        try:
            done.append(client.reload(url, version))
        except EndpointError as error:
            failed[url] = str(error)
            context.log.error(str(error))
    return done, failed


def _links(endpoints: Sequence[str]) -> str:
    """Each endpoint's own account of what it serves, to be clicked."""
    return ", ".join(f"[{url}/model]({url}/model)" for url in endpoints)


def _as_rows(published: PublishedModel) -> Iterator[pd.DataFrame]:
    """Each user's list as rows, for whoever reads recommendations in DuckDB; a block of users at a
    time, since the text of all of them is many times the lists.
    """
    bundle = published.bundle
    movie_ids = np.char.decode(bundle.item_ids, "utf-8")
    for rows in blocks_of(len(bundle.user_ids)):
        block = slice(rows.start, rows.stop)
        lists = np.asarray(published.top_items[block])
        users, ranks = np.nonzero(lists >= 0)
        columns = {
            "user_id": np.char.decode(bundle.user_ids[block], "utf-8")[users],
            "rank": ranks + 1,
            "movie_id": movie_ids[lists[users, ranks]],
            "score": published.top_scores[block][users, ranks],
        }
        yield pd.DataFrame(columns)


deploy_job = dg.define_asset_job(
    "deploy",
    description="Publish production, reload every endpoint, ask each for the lists of a sample of "
    "users.",
    selection=dg.AssetSelection.assets(SERVED_MODEL).without_checks()
    | dg.AssetSelection.checks(dg.AssetCheckKey(SERVED_MODEL, "live_answers")),
    owners=OWNERS,
)


@dg.sensor(
    job=deploy_job,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Compares production with what each endpoint serves, and asks for a deployment "
    "until they agree.",
    owners=OWNERS,
)
def deploy_production(
    context: dg.SensorEvaluationContext,
    serving_client: dg.ResourceParam[ServingClient],
    notifier: dg.ResourceParam[Notices],
) -> dg.SensorResult | dg.SkipReason:
    """Reconciles: a server that was down, or came up empty, converges by itself."""
    reported = reported_model(context.instance)
    if reported is None:
        return dg.SkipReason("nothing is in production yet")
    production, seen = reported.version, _look(serving_client, reported)
    if seen.differ and (deploying := _under_way(context.instance)):
        return dg.SkipReason(f"run {deploying[:8]} is deploying")
    before, now = Attempts.loads(context.cursor), time.time()
    step, attempts = next_step(before, production, seen, now)
    cursor = attempts.dumps()
    match step:
        case Settled(after):
            agreed = f"every endpoint serves version {production}"
            if after > 1:  # so people were told that it failed
                notifier.send(f"{agreed} again, after {after} attempts")
            return dg.SensorResult(cursor=cursor, skip_reason=agreed)
        case Wait(until, why):
            reason = f"attempt {before.attempt + 1} in {until - now:.0f} s: {why}"
            return dg.SensorResult(cursor=cursor, skip_reason=reason)
        case Attempt(number):
            key = f"version-{production}-attempt-{number}-{now:.0f}"
            tags = {VERSION: str(production), ATTEMPT: str(number)}
            return dg.SensorResult([dg.RunRequest(key, tags=tags)], cursor=cursor)


def _look(client: ServingClient, production: ServedVersion) -> Endpoints:
    """Ask each endpoint what it serves: the number, and which model that is to it."""
    differ: dict[str, str] = {}
    down: set[str] = set()
    for url in client.endpoints:
        try:
            served = client.model(url)
        except EndpointError as error:
            differ[url] = str(error)
            down.add(url)
        else:
            if served is None or served.version != production.version:
                differ[url] = f"{url} serves {served.version if served else 'nothing'}"
            elif production.identity and served.identity != production.identity:
                differ[url] = f"{url} serves another model as version {served.version}"
    return Endpoints(differ, frozenset(down))


def _under_way(instance: dg.DagsterInstance) -> str | None:
    """The id of a run that is deploying, or is about to."""
    unfinished = dg.RunsFilter(job_name=deploy_job.name, statuses=UNFINISHED)
    runs = instance.get_runs(unfinished, limit=1)
    return runs[0].run_id if runs else None
