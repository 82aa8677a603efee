"""The result of a check that names refused days, for the stages that refuse some."""

from collections.abc import Mapping, Sequence

import dagster as dg

from movierec_assets.defs.shared.metadata import table


def refusals(check: str, refused: Mapping[str, str], asked: Sequence[str]) -> dg.AssetCheckResult:
    """The check's result: an ERROR that names the refused days of this run, a WARN while there are
    others.

    A check has one state for the asset: green after a good day would hide the refused one before
    it.

    Args:
        refused: the reason by day, of all days.
        asked: the days of this run.
    """
    now = [day for day in asked if day in refused]
    if not refused:
        return dg.AssetCheckResult(check_name=check, passed=True)
    return dg.AssetCheckResult(
        check_name=check,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR if now else dg.AssetCheckSeverity.WARN,
        description=f"refused: {', '.join(now)}" if now else f"still refused: {', '.join(refused)}",
        metadata={"refused": table(("day", "reason"), refused.items())},
    )
