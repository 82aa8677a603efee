"""Validated ratings; the rejected are kept beside them with their reasons."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from functools import partial
from itertools import chain

import dagster as dg
import pandas as pd

from movierec_assets.defs.shared.days import Results, each_day
from movierec_assets.defs.shared.drift import days_as_usual, drift_of
from movierec_assets.defs.shared.header import daily_asset
from movierec_assets.defs.shared.keys import MOVIES, RAW_RATINGS
from movierec_assets.defs.shared.metadata import Metadata, table
from movierec_assets.defs.shared.pictures import histogram
from movierec_assets.defs.shared.refusals import refusals
from movierec_assets.defs.shared.sharing import share
from movierec_assets.errors import NotReadyError
from movierec_assets.monitoring.drift import Limits
from movierec_assets.partitions import days_before
from movierec_assets.ratings.chunks import COLUMNS
from movierec_assets.ratings.declaration import PLAIN, Declaration
from movierec_assets.ratings.ledger import (
    Chunk,
    DaySummary,
    Judgement,
    by_source,
    data_version,
    held,
    in_force,
)
from movierec_assets.ratings.schema import SCHEMA_VERSION
from movierec_assets.ratings.validation import validate_chunk
from movierec_assets.resources.stores.chunk_archive import ChunkArchive
from movierec_assets.resources.stores.shared_ratings import share_ratings
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings
from movierec_serving.events import EventStoreError
from movierec_serving.events.log import EventLog
from movierec_serving.events.tables import SOURCE


@daily_asset(
    deps=[RAW_RATINGS, MOVIES],
    kinds={"pandera", "duckdb"},
    check_specs=[
        dg.AssetCheckSpec(
            "few_rows_rejected",
            asset="validated_ratings",
            description="No day has more rejected rows than MOVIEREC_MAX_REJECTED_SHARE. A failure "
            "names the days that are refused and not trained on; the table rejected_ratings has "
            "each row's reasons. Mend the source and deliver the day again. A warning names days "
            "that were refused earlier and still are.",
        ),
        dg.AssetCheckSpec(
            "days_as_usual",
            asset="validated_ratings",
            description="No day is unlike those before it: stars, activity, new users and movies, "
            "popularity, genres, ratings outside the catalogue, one odd user. A warning gives the "
            "figures; the day is trained on all the same. The runbook's DataDrift has the steps.",
        ),
    ],
)
def validated_ratings(
    context: dg.AssetExecutionContext,
    chunk_archive: ChunkArchive,
    warehouse: Warehouse,
    event_log: dg.ResourceParam[EventLog],
    settings: dg.ResourceParam[Settings],
) -> Results:
    """Ratings that satisfy `Ratings`, the last of each (user, movie) within the day; and the day's
    verdict.

    The others go to the table `rejected_ratings` with all their reasons. A chunk with too large a
    share of them is refused: its rows are kept and visible, no model is trained on them, and what
    was accepted before for the day stays. The endpoint is told of the last days' ratings, so that
    what was rated is left out whatever version it serves.
    """
    limit = settings.max_rejected_share
    ledger = warehouse.chunks(context.partition_keys)
    newest = max([*warehouse.chunks(), *context.partition_keys])
    tell_from = days_before(newest, settings.keep_seen_days)

    def validate(day: str) -> None:
        if not ledger.get(day):
            raise NotReadyError(f"{day}: no chunk was ingested; materialize raw_ratings first")
        for chunk in held(ledger[day]):
            by = chunk.schema_version, chunk.max_rejected_share
            if chunk.verdict is None or by != (SCHEMA_VERSION, limit):
                declared = PLAIN
                if chunk.declaration is not None:
                    declared = chunk_archive.declaration(chunk.source, chunk.declaration)
                warehouse.judge(chunk, partial(judgement, chunk, declared, limit))
        if day > tell_from:
            _tell_endpoint(context, event_log, warehouse, day)

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        chunks, summaries = warehouse.chunks(days), warehouse.summaries(days)
        return {day: _metadata(chunks[day], summaries[day]) for day in days}

    def check() -> dg.AssetCheckResult:
        share(context, lambda: share_ratings(warehouse, chunk_archive))
        return refusals(context, "few_rows_rejected", warehouse.refused(unreadable=False))

    def usual() -> dg.AssetCheckResult:
        limits = Limits(
            days=settings.drift_days, level=settings.drift_level, share=settings.max_surprise
        )
        return days_as_usual(drift_of(warehouse, context.partition_keys, limits))

    yield from each_day(context, validate, describe, checks=[check, usual])


def _tell_endpoint(
    context: dg.AssetExecutionContext, event_log: EventLog, warehouse: Warehouse, day: str
) -> None:
    """Let the store of events know the accepted ratings of a day; it knows those of events."""
    try:
        told = event_log.store.seen.accepted()
        for chunk in warehouse.chunks([day])[day]:
            known = told.get((day, chunk.source))
            if chunk.current and chunk.data_version and chunk.data_version != known:
                own = chunk.source == SOURCE
                ratings = [] if own else warehouse.ratings_of_chunk(day, chunk.source)
                event_log.accept(day, chunk.source, chunk.data_version, ratings)
    except EventStoreError as error:
        context.log.error(f"{day}: {error}; the endpoint leaves out what its version knows")


def judgement(chunk: Chunk, declared: Declaration, limit: float, raw: pd.DataFrame) -> Judgement:
    """Validate a chunk's rows; refuse it if a larger share than `limit` is rejected."""
    outcome = validate_chunk(raw, date.fromisoformat(chunk.day), declared)
    share = len(outcome.rejected) / len(raw) if len(raw) else 0.0
    version = data_version(chunk, outcome)
    if share <= limit:
        return Judgement(outcome, "accepted", None, limit, version)
    reason = (
        f"{len(outcome.rejected)} of {len(raw)} rows rejected ({share:.1%}, at most "
        f"{limit:.1%} are tolerated)"
    )
    reason += f"; {outcome.hint or commonest(outcome.rejected)}"
    return Judgement(outcome, "refused", reason, limit, version)


def commonest(rejected: pd.DataFrame) -> str:
    """What is held against most rejected rows, with a text that it is held against; never a user's
    id, which would stay in ledger, logs and notices.
    """
    reason, rows = Counter(chain.from_iterable(rejected["reasons"])).most_common(1)[0]
    said = f"{rows} by the rule {reason!r}"
    column = reason.partition(":")[0]
    if column not in COLUMNS[1:]:
        return said
    first = next(i for i, some in enumerate(rejected["reasons"]) if reason in some)
    return f"{said}, such as {str(rejected[column].iloc[first])[:30]!r}"


def _metadata(chunks: list[Chunk], summary: DaySummary) -> Metadata:
    counted, newest = in_force(chunks), [some[-1] for some in by_source(chunks).values()]
    refused = [f"{chunk.prefix}{chunk.reason}" for chunk in counted if chunk.reason]
    refused += [
        f"{chunk.prefix}the newest chunk is refused: {chunk.reason}"
        for chunk in newest
        if chunk not in counted
    ]
    mended = Counter[str]()
    for chunk in counted:
        mended.update(chunk.mended)
    return {
        "verdict": ", ".join(f"{chunk.prefix}{chunk.verdict or ''}" for chunk in counted),
        **({"reason": "; ".join(refused)} if refused else {}),
        "ratings by stars": histogram(summary.stars),
        "dagster/row_count": sum(chunk.validated for chunk in counted if chunk.current),
        "raw": sum(chunk.rows for chunk in counted),
        "rejected": sum(chunk.rejected for chunk in counted),
        "superseded": sum(chunk.superseded for chunk in counted),
        "late": sum(chunk.late for chunk in counted),
        **({"mended": table(("id", "rows"), mended.items())} if mended else {}),
        "users": summary.users,
        "movies": summary.movies,
        "not in catalogue": summary.not_in_catalogue,
        "mean rating": round(summary.mean, 4) if summary.mean is not None else "none",
        "data version": ", ".join(chunk.data_version or "none" for chunk in counted),
        **(
            {"rejected by reason": table(("reason", "rows"), summary.reasons.items())}
            if summary.reasons
            else {}
        ),
    }
