"""Is daily retraining worth it? Each day's ratings test what was in production the day before."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

import dagster as dg

from movierec_assets.defs.shared.days import Results, each_day
from movierec_assets.defs.shared.header import daily_asset
from movierec_assets.defs.shared.keys import GATE_VERDICT
from movierec_assets.defs.shared.metadata import Metadata
from movierec_assets.defs.shared.pictures import curves
from movierec_assets.monitoring.drift import Finding, State
from movierec_assets.monitoring.prequential import Score, lead, models_before, next_day
from movierec_assets.monitoring.taste import taste
from movierec_assets.ports import Bundles, Registry
from movierec_assets.promotion.version import Version
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_serving.bundle import Bundle

CONTENDERS = ("production", "month_before", "popularity")


@daily_asset(
    deps=[GATE_VERDICT],
    kinds={"numpy", "duckdb"},
    check_specs=[
        dg.AssetCheckSpec(
            "taste_as_before",
            asset="prequential_evaluation",
            description="Production's NDCG@10 on the next day's ratings does not fall. A warning "
            "says by how much it fell: models learn too slowly, or the data are wrong.",
        )
    ],
)
def prequential_evaluation(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    bundle_store: dg.ResourceParam[Bundles],
    model_registry: dg.ResourceParam[Registry],
) -> Results:
    """NDCG@10 on the day's ratings of the model in production before it, of popularity, and of a
    month-old model.

    By the recorded verdicts, so that a range gives what daily runs give; a leaf, so that promotion
    never waits for it. The picture and the lead of all days so far are with the last day of the
    run.
    """
    versions = model_registry.versions()

    def bundle(version: Version | None) -> Bundle | None:  # not kept: each holds ten files open
        return Bundle.open(bundle_store.served(version.identity)) if version else None

    def evaluate_day(day: str) -> None:
        before, month_before = models_before(day, versions)
        score, production = Score(day), bundle(before)
        today = warehouse.interactions(day, 1)
        if production is not None and len(today):
            score = next_day(day, today, production, bundle(month_before))
        score = replace(
            score,
            production_version=before.number if before else None,
            month_before_version=month_before.number if month_before else None,
        )
        warehouse.record_score(score)

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        scores = {score.day: score for score in warehouse.scores(days[-1])}
        metadata = {day: _metadata(scores[day]) for day in days}
        return {**metadata, days[-1]: {**metadata[days[-1]], **so_far(list(scores.values()))}}

    def check() -> dg.AssetCheckResult:
        return _taste_as_before(taste(warehouse.scores(context.partition_keys[-1])))

    yield from each_day(context, evaluate_day, describe, checks=[check])


def _taste_as_before(finding: Finding) -> dg.AssetCheckResult:
    few = finding.state is State.TOO_FEW
    return dg.AssetCheckResult(
        check_name="taste_as_before",
        passed=finding.state is not State.DRIFT,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{finding.state.value}: {finding.said}" if few else finding.said,
        metadata={} if few else {"fall / allowed": finding.effect, "p": finding.p},
    )


def _metadata(today: Score) -> Metadata:
    figures = {f"{name}_ndcg_at_10": getattr(today, name) for name in CONTENDERS}
    versions = {f"{name} version": getattr(today, f"{name}_version") for name in CONTENDERS[:2]}
    metadata = {"users": today.users, **figures, **versions}
    return {name: round(value, 5) for name, value in metadata.items() if value is not None}


def so_far(scores: Sequence[Score]) -> Metadata:
    """The lead, and a picture of the means over all users of all days so far that have all
    contenders.
    """
    judged = [
        score for score in scores if all(getattr(score, name) is not None for name in CONTENDERS)
    ]
    if not judged:
        return {"note": "no model is a month old yet"}
    users = list(accumulate(score.users for score in judged))
    lines = {}
    for name in CONTENDERS:
        totals = accumulate(score.users * getattr(score, name) for score in judged)
        lines[name.replace("_", " ")] = [
            total / count for total, count in zip(totals, users, strict=True)
        ]
    title = "NDCG@10 on the next day's ratings, all days so far"
    lead_bounds = dict(zip(("low", "middle", "high"), lead(scores) or (), strict=False))
    if lead_bounds:
        title += ": daily over monthly {middle:+.1%} ({low:+.1%} to {high:+.1%})".format(
            **lead_bounds
        )
    if not lead_bounds or lead_bounds["low"] <= 0 <= lead_bounds["high"]:
        title += f"; too few to tell ({users[-1]} users' days)"
    return {
        "daily retraining": curves(lines, [score.day for score in judged], title),
        **{
            f"lead over month_before, {name}": round(value, 5)
            for name, value in lead_bounds.items()
        },
    }
