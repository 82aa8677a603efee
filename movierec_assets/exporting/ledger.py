"""Metrics of the warehouse and the landing zone: days, rows, refusals, the next-day metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from movierec_assets.exporting.gauges import gauge_by
from movierec_assets.monitoring.prequential import Score
from movierec_assets.platform import Platform
from movierec_assets.ratings.ledger import Chunk, by_source, in_force

MODELS = ("production", "popularity", "month_before")
KINDS = ("rows", "validated", "rejected", "superseded", "late")


def warehouse_metrics(platform: Platform) -> Iterable[Metric]:
    """Read the ledger, the models and the scores in one short connection.

    Raises:
        WarehouseHeldError: another process holds the file.
    """
    delivered = platform.landing_zone.days()
    warehouse = platform.warehouse
    with warehouse.connect(read_only=True):
        ledger, models = warehouse.chunks(), warehouse.models()
        scores = warehouse.scores()
    trained = [day for day, model in models.items() if model.identity is not None]
    accepted = [day for day, some in ledger.items() if any(chunk.current for chunk in some)]
    days = {"delivered": delivered, "ingested": ledger, "accepted": accepted, "trained": trained}
    yield gauge_by(
        "movierec_days",
        "Days that a stage has; a backfill is done when all agree",
        "stage",
        {stage: len(its) for stage, its in days.items()},
    )
    yield from _rows(ledger)
    yield _refused(ledger)
    yield from _scores(scores)


def _rows(ledger: Mapping[str, Sequence[Chunk]]) -> Iterable[Metric]:
    counted = [chunk for chunks in ledger.values() for chunk in in_force(chunks)]
    yield gauge_by(
        "movierec_ratings",
        "Ratings in the warehouse, by what became of them",
        "kind",
        {kind: sum(getattr(chunk, kind) for chunk in counted) for kind in KINDS},
    )
    newest = max(ledger, default=None)
    if newest is None:
        return
    last = [some[-1] for some in by_source(ledger[newest]).values()]
    total = sum(chunk.rows for chunk in last)
    yield GaugeMetricFamily(
        "movierec_newest_day_timestamp_seconds",
        "Beginning of the newest day that was ingested",
        value=seconds_of(newest),
    )
    yield GaugeMetricFamily(
        "movierec_newest_day_ratings", "Records of the newest day's files", value=total
    )
    yield GaugeMetricFamily(
        "movierec_newest_day_rejected_ratio",
        "Share of the newest day's records that break a rule",
        value=sum(chunk.rejected for chunk in last) / total if total else 0.0,
    )


def _refused(ledger: Mapping[str, Sequence[Chunk]]) -> Metric:
    refused = 0
    for day in sorted(ledger, reverse=True):
        if all(some[-1].verdict != "refused" for some in by_source(ledger[day]).values()):
            break
        refused += 1
    return GaugeMetricFamily(
        "movierec_refused_days_in_a_row",
        "How many of the newest days, one after the other, were refused",
        value=refused,
    )


def _scores(scores: Sequence[Score]) -> Iterable[Metric]:
    newest = next((score for score in reversed(scores) if score.production is not None), None)
    figures = {name: getattr(newest, name, None) for name in MODELS}
    yield gauge_by(
        "movierec_next_day_ndcg",
        "NDCG@10 on the newest evaluated day's ratings, of what was in production the day before, "
        "of popularity and of a month-old model",
        "model",
        {name: value for name, value in figures.items() if value is not None},
    )
    yield GaugeMetricFamily(
        "movierec_next_day_users",
        "Users that movierec_next_day_ndcg is of",
        value=newest.users if newest is not None else 0,
    )


def seconds_of(day: str) -> float:
    """Seconds since 1970 at which a UTC day begins."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
