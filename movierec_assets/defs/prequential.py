"""Is daily retraining worth it? Each day's ratings test what was in production the day before."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

import dagster as dg

from movierec_assets.defs.days import Metadata, Results, each_day
from movierec_assets.defs.ingestion import ONE_RUN
from movierec_assets.defs.pictures import curves
from movierec_assets.defs.promotion import gate_verdict
from movierec_assets.evaluation.prequential import Score, lead, models_before, next_day
from movierec_assets.partitions import daily
from movierec_assets.resources.bundle_store import BundleStore
from movierec_assets.resources.model_registry import ModelRegistry
from movierec_assets.resources.warehouse import Warehouse
from movierec_serving.bundle import Bundle

CONTENDERS = ("production", "month_before", "popularity")


@dg.asset(
    deps=[gate_verdict], partitions_def=daily, backfill_policy=ONE_RUN, group_name="prequential",
    kinds={"numpy", "duckdb"}, pool="warehouse",
)  # fmt: skip
def prequential_evaluation(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    bundle_store: BundleStore,
    model_registry: ModelRegistry,
) -> Results:
    """NDCG@10 on the day's ratings of the model in production before it, of popularity, and of a month-old model.

    By the recorded verdicts, so that a range gives what daily runs give; a leaf, so that promotion never waits for
    it. The picture of all days so far is with the last day of the run.
    """
    versions = {one.number: one for one in model_registry.versions()}
    candidates = [one.candidate for one in versions.values()]
    opened: dict[int, Bundle] = {}

    def bundle(number: int | None) -> Bundle | None:
        if number is not None and number not in opened:
            opened[number] = Bundle.open(bundle_store.served(versions[number].identity))
        return opened[number] if number is not None else None

    def evaluate_day(day: str) -> None:
        before, month_before = models_before(day, candidates)
        production, today = bundle(before), warehouse.interactions(day, 1)
        score = Score(day)
        if production is not None and len(today):
            score = next_day(day, today, production, bundle(month_before))
        score = replace(score, production_version=before, month_before_version=month_before)
        warehouse.record_score(score)

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        scores = warehouse.scores(days[-1])
        found = {one.day: _metadata(scores[: nth + 1]) for nth, one in enumerate(scores) if one.day in days}
        return {**found, days[-1]: {**_picture(scores), **found[days[-1]]}}

    yield from each_day(context, evaluate_day, describe)


def _metadata(scores: Sequence[Score]) -> Metadata:
    """The day's figures, and the lead of all days up to it."""
    today, found = scores[-1], lead(scores)
    figures = {f"{name}_ndcg_at_10": getattr(today, name) for name in CONTENDERS}
    versions = {f"{name} version": getattr(today, f"{name}_version") for name in CONTENDERS[:2]}
    leads = zip(("low", "middle", "high"), found or (), strict=False)
    return {
        "users": today.users,
        **{name: round(value, 5) for name, value in figures.items() if value is not None},
        **{name: number for name, number in versions.items() if number is not None},
        **{f"lead over month_before, {name}": round(value, 5) for name, value in leads},
    }


def _picture(scores: Sequence[Score]) -> Metadata:
    """Means over all users of all days so far, of the days that have all contenders."""
    judged = [one for one in scores if all(getattr(one, name) is not None for name in CONTENDERS)]
    if not judged:
        return {"note": "no model is a month old yet"}
    users = list(accumulate(one.users for one in judged))
    lines = {}
    for name in CONTENDERS:
        totals = accumulate(one.users * getattr(one, name) for one in judged)
        lines[name.replace("_", " ")] = [total / count for total, count in zip(totals, users, strict=True)]
    title = "NDCG@10 on the next day's ratings, all days so far"
    if found := lead(scores):
        low, middle, high = found
        title += f": daily over monthly {middle:+.1%} ({low:+.1%} to {high:+.1%})"
    return {"daily retraining": curves(lines, [one.day for one in judged], title)}
