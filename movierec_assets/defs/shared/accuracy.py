"""How good the served version's lists were, on the ratings that came since.

The lists are read where they were published: over HTTP nobody is shown what they rated, from the
moment it is accepted. That answers are these lists is what `live_answers` asks.
"""

from dataclasses import dataclass
from datetime import date
from functools import partial

import dagster as dg
import numpy as np
from numpy.typing import NDArray

from movierec_assets.defs.shared.checked import Context, Outcome, checked
from movierec_assets.defs.shared.keys import SERVED_MODEL
from movierec_assets.errors import EndpointError
from movierec_assets.evaluation.metrics import LONGEST
from movierec_assets.evaluation.offline import evaluate
from movierec_assets.monitoring.live import unseen
from movierec_assets.platform import Platform
from movierec_assets.promotion.interval import Interval, interval
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_serving.bundle import Bundle

LEVEL = 0.95  # one-sided confidence that the lists are worse than popularity's, to say so


def served_by(platform: Platform, url: str) -> tuple[int, Bundle]:
    """The version that an endpoint serves, and its bundle as it was trained.

    Raises:
        EndpointError: it does not answer, or serves nothing yet.
    """
    version = platform.serving_client.served(url)
    if version is None:
        raise EndpointError(f"{url} serves nothing yet")
    identity = platform.published_models.open(version).bundle.manifest.identity
    return version, Bundle.open(platform.bundle_store.served(identity))


@dataclass(frozen=True)
class Since:
    """What the first endpoint serves, and the last accepted day, which its model has not seen."""

    version: int
    bundle: Bundle
    lists: NDArray[np.int32]  # of each user, as published
    until: str


def since_served(platform: Platform) -> Since | None:
    """The accepted days after the served version's; None while there are none, or nothing is
    served.
    """
    try:
        version, bundle = served_by(platform, platform.serving_client.endpoints[0])
    except (EndpointError, IndexError):
        return None
    accepted = platform.warehouse.days_accepted()
    if not accepted or accepted[-1] <= bundle.manifest.data_until:
        return None
    lists = platform.published_models.open(version).top_items
    return Since(version, bundle, lists, accepted[-1])


def accuracy_since(context: Context, platform: Platform) -> Outcome | None:
    """What `live_accuracy` finds; None while no day after the served version's was accepted."""
    since = since_served(platform)
    if since is None:
        return None
    find = partial(measure, platform.warehouse, since)
    return checked(context, platform.notifier, "live_accuracy", find)


def report_accuracy(context: dg.AssetExecutionContext, platform: Platform) -> None:
    """Evaluate `live_accuracy` while the version before is still served: a day's ratings and its
    model come together.

    Never raises: a deployment does not depend on it.
    """
    try:
        outcome = accuracy_since(context, platform)
        if outcome is not None:  # as an event of this run it is of this run's materialization
            context.log_event(
                dg.AssetCheckEvaluation(
                    asset_key=SERVED_MODEL,
                    check_name="live_accuracy",
                    passed=outcome.passed,
                    description=outcome.why,
                    metadata=dict(outcome.metadata),
                )
            )
    except Exception:
        context.log.exception("the accuracy of what was served is not known")


def measure(warehouse: Warehouse, since: Since) -> Outcome:
    """NDCG@10 of the served lists of those who rated since, beside popularity's."""
    bundle, known = since.bundle, since.bundle.manifest.data_until
    days = (date.fromisoformat(since.until) - date.fromisoformat(known)).days
    ratings = unseen(bundle, warehouse.interactions(since.until, days))

    def served(rows: NDArray[np.int64]) -> NDArray[np.int32]:
        return since.lists[rows, :LONGEST]

    outcome = evaluate(bundle, ratings, served)
    figures = {
        "version": since.version,
        "days": f"after {known}, until {since.until}",
        **outcome.metrics,
    }
    if not outcome.metrics["users"]:
        nobody = f"nobody whom version {since.version} knows liked one of its movies since"
        return Outcome(True, nobody, figures)
    compared = interval(outcome.ndcg_at_10, outcome.popularity_ndcg_at_10, margin=0.0, level=LEVEL)
    text = (
        "NDCG@10 {ndcg_at_10:.3f} (popularity's {popularity_ndcg_at_10:.3f}), hit rate "
        "{hit_rate_at_10:.3f}, of {users:.0f} users"
    )
    return Outcome(
        compared.upper >= 0, f"{text.format_map(outcome.metrics)}: {in_words_of(compared)}", figures
    )


def in_words_of(compared: Interval) -> str:
    """What the figures show; the check fails exactly where it says worse."""
    if compared.upper < 0:
        return "worse than popularity"
    return "better than popularity" if compared.lower > 0 else "too few to tell which is better"
