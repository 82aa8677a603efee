"""Validated ratings; the rejected are kept beside them with their reasons."""

from collections.abc import Mapping
from datetime import date
from functools import partial

import dagster as dg
import pandas as pd

from movierec_assets.defs.shared.days import Results, each_day
from movierec_assets.defs.shared.header import daily_asset
from movierec_assets.defs.shared.keys import MOVIES, RAW_RATINGS
from movierec_assets.defs.shared.metadata import Metadata, table
from movierec_assets.defs.shared.pictures import histogram
from movierec_assets.defs.shared.refusals import refusals
from movierec_assets.errors import NotReadyError
from movierec_assets.ratings.ledger import Chunk, DaySummary, Judgement, held, in_force
from movierec_assets.ratings.schema import SCHEMA_VERSION
from movierec_assets.ratings.validation import validate_chunk
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings


@daily_asset(
    deps=[RAW_RATINGS, MOVIES],
    kinds={"pandera", "duckdb"},
    check_specs=[
        dg.AssetCheckSpec(
            "few_rows_rejected", asset="validated_ratings", description="no day was refused"
        )
    ],
)
def validated_ratings(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    settings: dg.ResourceParam[Settings],
) -> Results:
    """Ratings that satisfy `Ratings`, the last of each (user, movie) within the day; and the day's
    verdict.

    The others go to the table `rejected_ratings` with all their reasons. A chunk with too large a
    share of them is refused: its rows are kept and visible, no model is trained on them, and what
    was accepted before for the day stays.
    """
    limit = settings.max_rejected_share
    ledger = warehouse.chunks(context.partition_keys)

    def validate(day: str) -> None:
        if not ledger.get(day):
            raise NotReadyError(f"{day}: no chunk was ingested; materialize raw_ratings first")
        for chunk in held(ledger[day]):
            by = chunk.schema_version, chunk.max_rejected_share
            if chunk.verdict is None or by != (SCHEMA_VERSION, limit):
                warehouse.judge(chunk, partial(_judgement, chunk, limit))

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        chunks, summaries = warehouse.chunks(days), warehouse.summaries(days)
        return {day: _metadata(chunks[day], summaries[day]) for day in days}

    def check() -> dg.AssetCheckResult:
        return refusals(
            "few_rows_rejected", warehouse.refused(unreadable=False), context.partition_keys
        )

    yield from each_day(context, validate, describe, check=check)


def _judgement(chunk: Chunk, limit: float, raw: pd.DataFrame) -> Judgement:
    outcome = validate_chunk(raw, date.fromisoformat(chunk.day))
    share = len(outcome.rejected) / len(raw) if len(raw) else 0.0
    version = f"{chunk.sha256}/{SCHEMA_VERSION}"
    if share <= limit:
        return Judgement(outcome, "accepted", None, limit, version)
    reason = (
        f"{len(outcome.rejected)} of {len(raw)} rows rejected ({share:.1%}, at most "
        f"{limit:.1%} are tolerated)"
    )
    return Judgement(outcome, "refused", reason, limit, version)


def _metadata(chunks: list[Chunk], summary: DaySummary) -> Metadata:
    (chunk,) = in_force(chunks)
    newest = chunks[-1]
    refused = [] if newest is chunk else [f"the newest chunk is refused: {newest.reason}"]
    if chunk.reason:
        refused.append(chunk.reason)
    return {
        "ratings by stars": histogram(summary.stars),
        "dagster/row_count": chunk.validated if chunk.current else 0,
        "verdict": chunk.verdict or "",
        **({"reason": "; ".join(refused)} if refused else {}),
        "raw": chunk.rows,
        "rejected": chunk.rejected,
        "superseded": chunk.superseded,
        "late": chunk.late,
        "users": summary.users,
        "movies": summary.movies,
        "not in catalogue": summary.not_in_catalogue,
        "mean rating": round(summary.mean, 4) if summary.mean is not None else "none",
        "data version": chunk.data_version or "none",
        "rejected by reason": table(("reason", "rows"), summary.reasons.items()),
    }
