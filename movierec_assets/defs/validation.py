"""Validated ratings; the rejected are kept beside them with their reasons."""

from collections.abc import Mapping
from datetime import date

import dagster as dg
import pandas as pd

from movierec_assets.defs.ingestion import ONE_RUN, movies, raw_ratings, refusals
from movierec_assets.defs.shared.days import Metadata, Results, each_day, table
from movierec_assets.defs.shared.pictures import histogram
from movierec_assets.errors import NotReadyError
from movierec_assets.partitions import daily
from movierec_assets.ratings.ledger import Chunk, DaySummary, Judgement, effective
from movierec_assets.ratings.schema import SCHEMA_VERSION
from movierec_assets.ratings.validation import validate_chunk
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import settings


@dg.asset(
    deps=[raw_ratings, movies],
    partitions_def=daily,
    backfill_policy=ONE_RUN,
    group_name="validation",
    kinds={"pandera", "duckdb"},
    pool="warehouse",
    check_specs=[
        dg.AssetCheckSpec(
            "few_rows_rejected", asset="validated_ratings", description="no day was refused"
        )
    ],
)
def validated_ratings(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Results:
    """Ratings that satisfy `Ratings`, the last of each (user, movie) within the day; and the day's
    verdict.

    The others go to the table `rejected_ratings` with all their reasons. A day with too large a
    share of them is refused: its rows are kept and visible, and no model is trained on them.
    """
    limit = settings().max_rejected_share
    ledger = warehouse.chunks(context.partition_keys)

    def validate(day: str) -> None:
        if not ledger.get(day):
            raise NotReadyError(f"{day}: no chunk was ingested; materialize raw_ratings first")
        chunk = effective(ledger[day])
        by = chunk.schema_version, chunk.max_rejected_share
        if chunk.verdict is None or (chunk.current and by != (SCHEMA_VERSION, limit)):
            warehouse.judge(day, lambda raw: _judgement(raw, day, limit))

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        chunks, summaries = warehouse.chunks(days), warehouse.summaries(days)
        return {day: _metadata(effective(chunks[day]), summaries[day]) for day in days}

    def check() -> dg.AssetCheckResult:
        return refusals(
            "few_rows_rejected", warehouse.refused(unreadable=False), context.partition_keys
        )

    yield from each_day(context, validate, describe, check=check)


def _judgement(raw: pd.DataFrame, day: str, limit: float) -> Judgement:
    outcome = validate_chunk(raw, date.fromisoformat(day))
    share = len(outcome.rejected) / len(raw) if len(raw) else 0.0
    if share <= limit:
        return Judgement(outcome, "accepted", None, limit)
    reason = (
        f"{len(outcome.rejected)} of {len(raw)} rows rejected ({share:.1%}, at most "
        f"{limit:.1%} are tolerated)"
    )
    return Judgement(outcome, "refused", reason, limit)


def _metadata(chunk: Chunk, summary: DaySummary) -> Metadata:
    return {
        "ratings by stars": histogram(summary.stars),
        "dagster/row_count": chunk.validated,
        "verdict": chunk.verdict or "",
        **({"reason": chunk.reason} if chunk.reason else {}),
        "raw": chunk.rows,
        "rejected": chunk.rejected,
        "superseded": chunk.superseded,
        "late": chunk.late,
        "users": summary.users,
        "movies": summary.movies,
        "not in catalogue": summary.not_in_catalogue,
        "mean rating": round(summary.mean, 4) if summary.mean is not None else "none",
        "data version": f"{chunk.sha256}/{chunk.schema_version}",
        "rejected by reason": table(("reason", "rows"), summary.reasons.items()),
    }
