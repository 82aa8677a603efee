"""Days beside those before them: read, compared, and shown as the check `days_as_usual`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

import dagster as dg

from movierec_assets.defs.shared.metadata import table
from movierec_assets.defs.shared.pictures import effects
from movierec_assets.monitoring.drift import Finding, Limits, State, drifting, findings, in_words
from movierec_assets.monitoring.user_days import UserDays
from movierec_assets.resources.warehouse.warehouse import Warehouse

AT_ONCE = 31  # days that are read together with those before them: what bounds the memory

ByDay = dict[str, list[Finding]]


def drift_of(warehouse: Warehouse, asked: Sequence[str], limits: Limits) -> ByDay:
    """What is to be said of each of these days (ISO, ascending) that has ratings.

    Where none has, the newest day before them is looked at again: a run without a file must not
    turn a warning off.
    """
    rated = warehouse.days_accepted(asked[-1])
    known = set(rated)
    wanted = [bisect_left(rated, day) for day in asked if day in known] or [len(rated) - 1]
    if not rated:
        return {}
    by_day: ByDay = {}
    for some in (wanted[at : at + AT_ONCE] for at in range(0, len(wanted), AT_ONCE)):
        begin = max(some[0] - limits.days, 0)
        days = UserDays.of(warehouse.rated(rated[begin], rated[some[-1]]))
        for place in some:
            window = days.between(max(place - limits.days, 0) - begin, place + 1 - begin)
            by_day[rated[place]] = findings(window, limits)
    return by_day


def days_as_usual(findings: Mapping[str, Sequence[Finding]]) -> dg.AssetCheckResult:
    """The check's result: a WARN that names each day and measure, with a picture of one day."""
    alarms = {day: some for day, some in findings.items() if drifting(some)}
    shown = max(alarms or findings, default=None)
    return dg.AssetCheckResult(
        check_name="days_as_usual",
        passed=not alarms,
        severity=dg.AssetCheckSeverity.WARN,
        description=in_words(findings),
        metadata={} if shown is None else {"day": shown, **_figures(findings[shown])},
    )


def _figures(findings: Sequence[Finding]) -> dict[str, dg.MetadataValue]:
    bars = {finding.measure: (finding.effect, finding.state is State.DRIFT) for finding in findings}
    rows = [
        (finding.measure, finding.state.value, finding.said, finding.effect, finding.p)
        for finding in findings
    ]
    columns = ("measure", "state", "what is so", "effect / allowed", "p")
    return {"picture": effects(bars), "measures": table(columns, rows)}
