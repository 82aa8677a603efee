"""Metrics of the warehouse and the landing zone: days, rows, refusals, the next-day metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from movierec_assets.monitoring.prequential import Score
from movierec_assets.platform import Platform
from movierec_assets.ratings.ledger import Chunk, by_source, in_force

WAIT_S = 0.3  # for the file: runs hold it for milliseconds, and a scrape should not wait long
KINDS = ("rows", "validated", "rejected", "superseded", "late")


def warehouse_metrics(platform: Platform) -> Iterable[Metric]:
    """Read the ledger, the models and the scores in one short connection.

    Raises:
        WarehouseHeldError: another process holds the file.
    """
    delivered = platform.landing_zone.days()
    warehouse = platform.warehouse.waiting(WAIT_S)
    with warehouse.connect(read_only=True):
        ledger, models = warehouse.chunks(), warehouse.models()
        scores = warehouse.scores()
    trained = [day for day, model in models.items() if model.identity is not None]
    accepted = [day for day, some in ledger.items() if any(chunk.current for chunk in some)]
    yield _days(delivered=delivered, ingested=list(ledger), accepted=accepted, trained=trained)
    yield from _rows(ledger)
    yield _refused(ledger)
    yield from _scores(scores)


def _days(**by_stage: Sequence[str]) -> Metric:
    family = GaugeMetricFamily(
        "movierec_days",
        "Days that a stage has; a backfill is done when all agree",
        labels=["stage"],
    )
    for stage, days in by_stage.items():
        family.add_metric([stage], len(days))
    return family


def _rows(ledger: Mapping[str, Sequence[Chunk]]) -> Iterable[Metric]:
    counted = [chunk for chunks in ledger.values() for chunk in in_force(chunks)]
    rows = GaugeMetricFamily(
        "movierec_ratings", "Ratings in the warehouse, by what became of them", labels=["kind"]
    )
    for kind in KINDS:
        rows.add_metric([kind], sum(getattr(chunk, kind) for chunk in counted))
    yield rows
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
    judged = [score for score in scores if score.production is not None]
    ndcg = GaugeMetricFamily(
        "movierec_next_day_ndcg",
        "NDCG@10 on the newest evaluated day's ratings, of what was in production the day before, "
        "of popularity and of a month-old model",
        labels=["model"],
    )
    users = 0
    if judged:
        users = judged[-1].users
        for name in ("production", "popularity", "month_before"):
            value = getattr(judged[-1], name)
            if value is not None:
                ndcg.add_metric([name], value)
    yield ndcg
    yield GaugeMetricFamily(
        "movierec_next_day_users", "Users that movierec_next_day_ndcg is of", value=users
    )


def seconds_of(day: str) -> float:
    """Seconds since 1970 at which a UTC day begins."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
