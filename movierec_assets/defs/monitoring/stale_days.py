"""Whether each day's model still follows from what the ledger names."""

import dagster as dg

from movierec_assets.monitoring.staleness import stale_days
from movierec_assets.partitions import contiguous, daily
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings


def days_current_check(model: dg.AssetKey) -> dg.AssetChecksDefinition:
    """The check, of the asset whose models are served."""
    description = (
        "No day's model was made from other data than the ledger names now. A warning gives the "
        "days to train again, as ranges for the backfill dialog; the sensor retrain_stale asks for "
        "them by itself."
    )
    return dg.asset_check(asset=model, description=description)(days_current)


def days_current(warehouse: Warehouse, settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """Finds re-delivered and repaired days, and all that were trained on them, as ranges for
    the backfill dialog.
    """
    models = list(warehouse.models().values())
    partitions = warehouse.partitions(models[-1].day, None) if models else []
    stale = set(stale_days(models, partitions, settings.window_days))
    if not stale:
        return dg.AssetCheckResult(passed=True, metadata={"days": len(models)})
    stretches = contiguous(daily.get_partition_keys(), stale)
    ranges = ", ".join(
        first if first == last else f"[{first}...{last}]" for first, last in stretches
    )
    return dg.AssetCheckResult(
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(stale)} days are stale; paste into the backfill dialog: {ranges}",
        metadata={"days": len(models), "stale": len(stale), "backfill": ranges},
    )
