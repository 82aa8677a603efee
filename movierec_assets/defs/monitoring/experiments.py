"""What each day says of the experiment under way."""

from collections.abc import Mapping
from datetime import date

import dagster as dg
import pandas as pd

from movierec_assets.defs.shared.actions import actions_since
from movierec_assets.defs.shared.days import Results, each_day
from movierec_assets.defs.shared.header import daily_asset
from movierec_assets.defs.shared.keys import EXPERIMENT_ARMS, RECOMMENDATION_LOG
from movierec_assets.defs.shared.metadata import Metadata, table
from movierec_assets.defs.shared.pictures import curves
from movierec_assets.monitoring.experiments import Look, looks, sentence
from movierec_assets.monitoring.interleaving import interleaved_looks
from movierec_assets.monitoring.outcomes import K
from movierec_assets.monitoring.sequential import ConfidenceSequence
from movierec_assets.partitions import days_before
from movierec_assets.platform import Platform
from movierec_assets.resources.warehouse.experiments import Trial
from movierec_serving.events import EventStoreError

NONE = "no experiment is under way"
BEFORE = 28  # days before the start, from which CUPED learns


@daily_asset(deps=[RECOMMENDATION_LOG, EXPERIMENT_ARMS], kinds={"numpy", "duckdb"})
def experiment_results(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> Results:
    """Each arm against production, with an interval that may be looked at every day, whether users
    came by their shares, and what an arm harms; in a sentence what to do.
    """
    metadata: dict[str, Metadata] = {}

    def analyse(day: str) -> None:
        trial = platform.warehouse.running()
        if trial is None or day < trial.started:
            metadata[day] = {"note": NONE}
            return
        try:
            seen = _looks(platform, trial, day)
        except EventStoreError as error:
            metadata[day] = {"experiment": trial.name, "note": f"the results wait: {error}"}
            context.log.error(f"{day}: {error}")
            return
        platform.warehouse.record_looks(trial.name, day, seen)
        metadata[day] = _metadata(trial, day, seen)

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        described = {day: metadata[day] for day in days}
        trial, last = platform.warehouse.running(), days[-1]
        if trial is not None and last >= trial.started:
            picture = _picture(platform.warehouse.looks(trial.name, last), trial)
            described[last] = {**described[last], "every day": picture}
        return described

    yield from each_day(context, analyse, describe)


def _looks(platform: Platform, trial: Trial, day: str) -> list[Look]:
    warehouse, within = platform.warehouse, platform.settings.outcome_days
    shares, sequence = trial.experiment.shares, ConfidenceSequence(trial.information)
    if trial.experiment.interleave:
        events = actions_since(platform, trial.started)
        with warehouse.connect(read_only=True):
            credited = warehouse.credits(trial.started, day, events, within=within, k=K)
            lists = warehouse.lists_by_arm(trial.started, day)
        return interleaved_looks(credited, lists, trial.metric, list(shares), sequence)
    before = days_before(trial.started, BEFORE)
    events = actions_since(platform, before)
    with warehouse.connect(read_only=True):
        everything = warehouse.user_days(before, day, events, within=within, k=K)
        # Whoever had an arm before its share grew was more likely to come to that one.
        lists = warehouse.lists_by_arm(trial.grown, day)
    since = everything[everything["day"] >= trial.grown]
    earlier = everything[everything["day"] < trial.started]
    return looks(since, lists, earlier, trial.metric, shares, sequence)


def _metadata(trial: Trial, day: str, seen: list[Look]) -> Metadata:
    drafted = trial.experiment.interleave
    passed = (date.fromisoformat(day) - date.fromisoformat(trial.started)).days + 1
    rows = [
        (
            look.arm,
            look.users,
            *(
                round(value, 5)
                for value in (look.mean, look.dislikes, look.fallbacks, look.failures)
            ),
            round(look.ms, 3),
        )
        for look in seen
    ]
    columns = ("arm", "users", trial.metric, "dislikes", "fallbacks", "failures", "ms")
    return {
        "experiment": trial.name,
        "what to do": sentence(seen, trial.metric, trial.effect, passed >= trial.days, drafted),
        "days so far": passed,
        "mismatch": round(seen[0].mismatch, 6),
        "arms": table(columns, rows),
    }


def _picture(daily: pd.DataFrame, trial: Trial) -> dg.MarkdownMetadataValue:
    """The difference of each arm to the control over the days, with its bounds."""
    days = sorted(daily["day"].unique())
    control = trial.experiment.arms[0].name
    lines: dict[str, list[float]] = {}
    for arm in sorted(set(daily["arm"]) - {control}):
        own = daily[daily["arm"] == arm].set_index("day").reindex(days)
        lines |= {
            f"{arm}{said}": own[bound].astype(float).tolist()
            for said, bound in (("", "middle"), (", low", "low"), (", high", "high"))
        }
    return curves(lines, days, f"{trial.metric}: difference to {control}, always valid")
