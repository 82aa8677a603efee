"""What the endpoints are told of the pipeline, of what a survey found: values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from movierec_assets.monitoring.production_age import production_age
from movierec_assets.monitoring.status import Status
from movierec_serving.bundle import PipelineReport, ReportedDay, ReportedProduction

DAYS = 14  # of the newest, each with its verdict


def report_of(
    status: Status,
    at: datetime,
    deployed_after: float | None,
    links: Mapping[str, str],
    experiments: Sequence[str] = (),
) -> PipelineReport:
    """Make of a status what a person sees at one glance.

    Args:
        at: now, with its offset.
        deployed_after: seconds from the move of production to the reload; None if it is not known.
        links: where to look further, by name.
        experiments: what is known of those under way, each in a sentence.
    """
    return PipelineReport(
        format_version=PipelineReport.FORMATS[-1],
        at=at.isoformat(timespec="seconds"),
        production=_production(status),
        look=tuple(status.disagreements),
        days=_days(status),
        refused=dict(sorted(status.refused.items(), reverse=True)),
        deployed_after=deployed_after,
        experiments=tuple(experiments),
        links=links,
    )


def _production(status: Status) -> ReportedProduction | None:
    production = status.production
    if production is None:
        return None
    age = production_age(production, status.versions, status.accepted)
    return ReportedProduction(
        version=production.number,
        data_until=production.data_until,
        days_behind=age.days,
        why=production.pinned,
    )


def _days(status: Status) -> tuple[ReportedDay, ...]:
    """The newest days of the ledger, the newest first; of a day's versions the last one."""
    versions = {
        version.data_until: version
        for version in sorted(status.versions, key=lambda version: version.number)
    }
    days = sorted({*status.ingested, *status.refused}, reverse=True)[:DAYS]
    return tuple(
        ReportedDay(
            day=day,
            rows=status.rows_of.get(day, 0),
            refused=status.refused.get(day),
            version=versions[day].number if day in versions else None,
            gate=versions[day].gate if day in versions else None,
            reason=versions[day].gate_reason if day in versions else "",
        )
        for day in days
    )
