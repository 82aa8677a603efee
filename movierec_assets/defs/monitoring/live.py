"""The live endpoint, asked as applications ask it: are its answers the model's, and were they
good?
"""

from collections.abc import Callable, Mapping
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus as Status,
)

from movierec_assets.defs.shared.days import table
from movierec_assets.errors import EndpointError
from movierec_assets.evaluation.metrics import LONGEST
from movierec_assets.evaluation.offline import evaluate
from movierec_assets.monitoring.live import as_rows, unseen, wrong_lists
from movierec_assets.promotion.gate import interval
from movierec_assets.resources.notifier import Notifier, webserver
from movierec_assets.resources.serving_client import ServingClient
from movierec_assets.resources.stores.bundle_store import BundleStore
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_serving.bundle import Bundle, PublishedModel

SERVED = dg.AssetKey("served_model")
SAMPLE = 200  # users asked about after a deployment
MOST_USERS = 1000  # of those who rated since, asked about: a deployment waits for the answers
N = 10
NOT_YET = "not yet: no day after the served version's was accepted"
LEVEL = 0.95  # one-sided confidence that the lists are worse than popularity's, to say so

Client = dg.ResourceParam[ServingClient]
Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext
Outcome = tuple[bool, str, Mapping[str, Any]]  # passed, why, metadata


@dg.asset_check(
    asset=SERVED, description="a sample of users gets what the model's factors say, over HTTP"
)
def live_answers(
    context: dg.AssetCheckExecutionContext,
    bundle_store: BundleStore,
    serving_client: Client,
    notifier: dg.ResourceParam[Notifier],
) -> dg.AssetCheckResult:
    """Asks every endpoint for the lists of a sample of users, one by one and together.

    Fails where one is not what the kernel makes of the served version's factors (less what is
    blocked there), has a movie that the user has seen, or is of another version. A wrong deployment
    is told, not undone.
    """
    outcome = _outcome(
        context, notifier, "live_answers", lambda: _compare(bundle_store, serving_client)
    )
    return dg.AssetCheckResult(**outcome)


def _compare(store: BundleStore, client: ServingClient) -> Outcome:
    wrong: list[tuple[str, str, str]] = []
    seconds: list[float] = []
    versions: list[str] = []
    for url in client.endpoints:
        version, bundle = _served(store, client, url)
        users = len(bundle.user_ids)
        rows = np.random.default_rng(version).choice(users, min(SAMPLE, users), replace=False)
        ids = [bundle.user_id(int(row)) for row in rows]
        blocked = cache(partial(client.blocked, url))
        alone = client.recommended(url, ids, N)
        for answers in (alone, client.recommended_together(url, ids, N)):
            lists = {one.user_id: one.movies for one in answers if one.version == version}
            causes = {
                one.user_id: f"version {one.version}" for one in answers if one.version != version
            }
            causes |= wrong_lists(bundle, lists, N, blocked)
            wrong += [(url, user, cause) for user, cause in causes.items()]
        seconds += [one.seconds for one in alone]
        versions.append(str(version))
    p50, p95, p99 = (1000 * np.percentile(seconds or [0.0], [50, 95, 99])).tolist()
    about: dict[str, Any] = {
        "version": ", ".join(versions),
        "p50 ms": p50,
        "p95 ms": p95,
        "p99 ms": p99,
    }
    if not wrong:
        return True, f"{2 * len(seconds)} lists are the model's", about
    about["wrong"] = table(("endpoint", "user", "cause"), wrong[:20])
    why = f"{len(wrong)} of {2 * len(seconds)} lists are wrong, the first: {' '.join(wrong[0])}"
    return False, why, about


@dg.asset_check(asset=SERVED, description="not worse than popularity for those who rated since")
def live_accuracy(
    context: dg.AssetCheckExecutionContext,
    warehouse: Warehouse,
    bundle_store: BundleStore,
    serving_client: Client,
    notifier: dg.ResourceParam[Notifier],
) -> dg.AssetCheckResult:
    """What the endpoint answers now, on the ratings of accepted days after those its version has
    seen.
    """
    outcome = _accuracy_since(context, warehouse, bundle_store, serving_client, notifier)
    return dg.AssetCheckResult(**(outcome or {"passed": True, "description": NOT_YET}))


def report_accuracy(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    store: BundleStore,
    client: ServingClient,
    notifier: Notifier,
) -> None:
    """Evaluate `live_accuracy` while the version before is still served: a day's ratings and its
    model come together.

    Never raises, and asks about 1,000 users at most: a deployment does not depend on it.
    """
    try:
        outcome = _accuracy_since(context, warehouse, store, client, notifier)
        if outcome is not None:
            found = dg.AssetCheckEvaluation(asset_key=SERVED, check_name="live_accuracy", **outcome)
            context.log_event(found)  # an event of this run is of its materialization
    except Exception:
        context.log.exception("the accuracy of what was served is not known")


def _accuracy_since(
    context: Context,
    warehouse: Warehouse,
    store: BundleStore,
    client: ServingClient,
    notifier: Notifier,
) -> dict[str, Any] | None:
    """What `live_accuracy` finds; None while no day after the served version's was accepted."""
    late = later_day(warehouse, store, client)
    if late is None:
        return None
    return _outcome(context, notifier, "live_accuracy", lambda: _accuracy(warehouse, client, *late))


def later_day(
    warehouse: Warehouse, store: BundleStore, client: ServingClient
) -> tuple[int, Bundle, str] | None:
    """What the first endpoint serves, and the last accepted day if it is after that model's
    data.
    """
    try:
        version, bundle = _served(store, client, client.endpoints[0])
    except (EndpointError, IndexError):
        return None
    accepted = warehouse.partitions("9999-12-31", None)
    newer = accepted and accepted[-1][0] > bundle.manifest.data_until
    return (version, bundle, accepted[-1][0]) if newer else None


def _accuracy(
    warehouse: Warehouse, client: ServingClient, version: int, bundle: Bundle, until: str
) -> Outcome:
    known = bundle.manifest.data_until
    days = (date.fromisoformat(until) - date.fromisoformat(known)).days
    since = unseen(bundle, warehouse.interactions(until, days))

    def ask(rows: Any) -> Any:
        answers = client.recommended(
            client.endpoints[0], [bundle.user_id(int(row)) for row in rows], LONGEST
        )
        return as_rows(bundle, [one.movies for one in answers], LONGEST)

    found = evaluate(bundle, since.select(since.users < MOST_USERS), ask)
    figures = {"version": version, "days": f"after {known}, until {until}", **found.metrics}
    if not found.metrics["users"]:
        return True, f"nobody whom version {version} knows liked one of its movies since", figures
    worse = (
        interval(found.ndcg_at_10, found.popularity_ndcg_at_10, margin=0.0, level=LEVEL).upper < 0
    )
    text = (
        "NDCG@10 {ndcg_at_10:.3f} (popularity's {popularity_ndcg_at_10:.3f}), hit rate "
        "{hit_rate_at_10:.3f}"
    )
    return not worse, (text + ", of {users:.0f} users").format_map(found.metrics), figures


live_job = dg.define_asset_job(
    "live",
    dg.AssetSelection.checks(live_accuracy),
    description="How good the endpoint's answers were.",
)


@dg.schedule(
    "0 6 * * *",
    job=live_job,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def evaluate_live(
    warehouse: Warehouse, bundle_store: BundleStore, serving_client: Client
) -> dg.RunRequest | dg.SkipReason:
    """For days on which nothing was deployed: pinned, refused by the gate. A deployment evaluates
    by itself.
    """
    if later_day(warehouse, bundle_store, serving_client) is None:
        return dg.SkipReason(f"{NOT_YET}, or nothing is served")
    return dg.RunRequest()


def _served(store: BundleStore, client: ServingClient, url: str) -> tuple[int, Bundle]:
    """The version that an endpoint serves, and its bundle as it was trained."""
    version = client.served(url)
    if version is None:
        raise EndpointError(f"{url} serves nothing yet")
    published = PublishedModel.open(Path(store.root) / "models", version)
    return version, Bundle.open(store.served(published.bundle.manifest.identity))


def _outcome(
    context: Context, notifier: Notifier, name: str, find: Callable[[], Outcome]
) -> dict[str, Any]:
    """What a check found; a failure is told, once for each version that fails without a pass in
    between.
    """
    try:
        passed, why, metadata = find()
    except Exception as error:
        context.log.exception(name)
        passed, why, metadata = False, f"{type(error).__name__}: {error}", {}
    metadata = {"version": "none", **metadata}
    history = context.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(SERVED, name), limit=1, status={Status.SUCCEEDED, Status.FAILED}
    )
    before = history[0].evaluation if history else None
    again = before and not before.passed and before.metadata["version"].value == metadata["version"]
    if not passed and not again:
        notifier.send(f"{name} failed: {why} {webserver()}/assets/served_model?view=checks")
    return {"passed": passed, "description": why, "metadata": metadata}
