"""The live endpoint, asked as applications ask it: are its answers the model's, and were they
good?
"""

from collections.abc import Sequence
from functools import cache, partial

import dagster as dg
import numpy as np
from numpy.typing import NDArray

from movierec_assets.defs.shared.accuracy import accuracy_since, served_by, since_served
from movierec_assets.defs.shared.checked import Outcome, checked
from movierec_assets.defs.shared.header import OWNERS
from movierec_assets.defs.shared.keys import SERVED_MODEL
from movierec_assets.defs.shared.metadata import table
from movierec_assets.monitoring.live import wrong_lists
from movierec_assets.platform import Platform
from movierec_assets.resources.serving_client import Answer
from movierec_serving.bundle import TOP_N, Bundle, Ranker

SAMPLE = 200  # users asked about after a deployment
N = 10
NOT_YET = "not yet: no day after the served version's was accepted"
MOST_SHOWN = 20  # wrong lists in the metadata
SINCE = "fold_in"  # source of the list of a person who did something that the version does not know


@dg.asset_check(
    asset=SERVED_MODEL,
    description="A sample of users gets over HTTP what the model's factors say. A failure lists "
    "wrong answers by endpoint and user: the endpoint serves something else than was published, so "
    "restart it, or deploy again.",
)
def live_answers(
    context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.AssetCheckResult:
    """Asks every endpoint for the lists of a sample of users, one by one and together.

    Fails where one is not what the kernel makes of the served version's factors (less what is
    hidden there), has a movie that the user has seen, or is of another version. People who did
    something since are left out: their lists follow from that, too. A wrong deployment is told, not
    undone.
    """
    return checked(context, platform.notifier, "live_answers", partial(compare, platform)).result


@dg.asset_check(
    asset=SERVED_MODEL,
    description="For those who rated since, the endpoint's lists are not worse than popular "
    "movies. A failure means that the model serves these people badly: look at the newest days, "
    "or take the version back with the job set_production.",
)
def live_accuracy(
    context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.AssetCheckResult:
    """The lists of the version that the endpoint serves, on the ratings of accepted days after
    those it has seen.
    """
    return (accuracy_since(context, platform) or Outcome(True, NOT_YET)).result


live_job = dg.define_asset_job(
    "live",
    dg.AssetSelection.checks(live_accuracy),
    description="How good the endpoint's answers were.",
    owners=OWNERS,
)


@dg.schedule(
    "0 6 * * *",
    job=live_job,
    execution_timezone="UTC",
    description="Each morning: how good the endpoint's answers were, on days without a deployment.",
    owners=OWNERS,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def evaluate_live(platform: dg.ResourceParam[Platform]) -> dg.RunRequest | dg.SkipReason:
    """For days on which nothing was deployed: pinned, refused by the gate. A deployment evaluates
    by itself.
    """
    if since_served(platform) is None:
        return dg.SkipReason(f"{NOT_YET}, or nothing is served")
    return dg.RunRequest()


def compare(platform: Platform) -> Outcome:
    """Hold the lists of a sample of users, as every endpoint answers them, against the model."""
    wrong: list[tuple[str, str, str]] = []
    seconds: list[float] = []
    versions: list[str] = []
    since, client = 0, platform.serving_client
    for url in client.endpoints:
        version, bundle = served_by(platform, url)
        users = _sample(bundle, version)
        alone = client.recommended(url, users, N)
        together = client.recommended_together(url, users, N)
        hidden = cache(partial(client.hidden, url))
        ranker = platform.published_models.open(version).ranker_of(bundle)

        def rank(rows: Sequence[int], ranker: Ranker = ranker) -> NDArray[np.int32]:
            return ranker.of_users(rows, TOP_N)[0]

        for answers in (alone, together):
            since += sum(answer.source == SINCE for answer in answers)
            causes = {
                **_of_another_version(answers, version),
                **wrong_lists(bundle, _lists(answers, version), N, hidden, rank),
            }
            wrong += [(url, user, cause) for user, cause in causes.items()]
        seconds += [answer.seconds for answer in alone]
        versions.append(str(version))
    p50, p95, p99 = (1000 * np.percentile(seconds or [0.0], [50, 95, 99])).tolist()
    figures = {"version": ", ".join(versions), "p50 ms": p50, "p95 ms": p95, "p99 ms": p99}
    if not wrong:
        left_out = f"; {since} are of people who did something since" if since else ""
        compared = 2 * len(seconds) - since
        return Outcome(True, f"{compared} lists are the model's{left_out}", figures)
    shown = table(("endpoint", "user", "cause"), wrong[:MOST_SHOWN])
    first = " ".join(wrong[0])
    why = f"{len(wrong)} of {2 * len(seconds)} lists are wrong, the first: {first}"
    return Outcome(False, why, {**figures, "wrong": shown})


def _sample(bundle: Bundle, version: int) -> list[str]:
    """Some users of a version, the same ones each time."""
    users = len(bundle.user_ids)
    rows = np.random.default_rng(version).choice(users, min(SAMPLE, users), replace=False)
    return [bundle.user_id(int(row)) for row in rows]


def _lists(answers: list[Answer], version: int) -> dict[str, tuple[str, ...]]:
    return {
        answer.user_id: answer.movies
        for answer in answers
        if answer.version == version and answer.source != SINCE
    }


def _of_another_version(answers: list[Answer], version: int) -> dict[str, str]:
    return {
        answer.user_id: f"version {answer.version}"
        for answer in answers
        if answer.version != version
    }
