"""The result of a check that names refused days, for the stages that refuse some."""

from collections.abc import Mapping

import dagster as dg

from movierec_assets.defs.shared.metadata import table
from movierec_assets.defs.shared.tags import REFUSED
from movierec_assets.partitions import shortened


def refusals(
    context: dg.AssetExecutionContext, check: str, refused: Mapping[str, str]
) -> dg.AssetCheckResult:
    """The check's result: an ERROR that names the refused days of this run, a WARN while there are
    others.

    A check has one state for the asset: green after a good day would hide the refused one before
    it. The run gets a tag with its refused days, since the run itself succeeds. (A result for a
    single day is shown as that day's only with a reference to its materialization, whose class
    Dagster keeps to itself.)

    Args:
        refused: the reason by day, of all days.
    """
    now = [day for day in context.partition_keys if day in refused]
    if now:
        context.instance.add_run_tags(context.run.run_id, {REFUSED: shortened(now)})
    if not refused:
        return dg.AssetCheckResult(
            check_name=check, passed=True, description="no day is refused", metadata={}
        )
    return dg.AssetCheckResult(
        check_name=check,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR if now else dg.AssetCheckSeverity.WARN,
        description=f"refused: {', '.join(now)}" if now else f"still refused: {', '.join(refused)}",
        metadata={"refused": table(("day", "reason"), refused.items())},
    )
