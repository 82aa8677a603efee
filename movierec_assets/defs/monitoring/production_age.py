"""Whether production keeps up with the accepted ratings: a check, and a sensor that tells once."""

from typing import Any

import dagster as dg

from movierec_assets.defs.shared.header import OWNERS, TICK_WAIT_S
from movierec_assets.defs.shared.keys import PRODUCTION_MODEL
from movierec_assets.errors import WarehouseHeldError
from movierec_assets.monitoring.production_age import ProductionAge, production_age
from movierec_assets.monitoring.told import Told
from movierec_assets.ports import Notices, Registry
from movierec_assets.resources.notifier import webserver
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings

TROUBLE, SHOWN = "behind", "check"


@dg.asset_check(
    asset=PRODUCTION_MODEL,
    description="Production has seen all accepted days but the last few. A failure says how many "
    "it lacks and what keeps it back: approve or pin a version, or mend what is named.",
)
def production_current(
    warehouse: Warehouse,
    model_registry: dg.ResourceParam[Registry],
    settings: dg.ResourceParam[Settings],
) -> dg.AssetCheckResult:
    """Warns when production is more days behind than the settings allow."""
    age = _age(warehouse, model_registry)
    return dg.AssetCheckResult(**_finding(age, settings.production_days_behind))


@dg.sensor(
    minimum_interval_seconds=300,
    owners=OWNERS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells once when production falls behind the accepted days, and once when it is "
    "back.",
)
def production_behind(
    context: dg.SensorEvaluationContext,
    warehouse: Warehouse,
    model_registry: dg.ResourceParam[Registry],
    settings: dg.ResourceParam[Settings],
    notifier: dg.ResourceParam[Notices],
) -> dg.SensorResult:
    """Compares production with the ledger: one notice a spell, and the check's result anew when it
    differs.
    """
    try:
        age = _age(warehouse.waiting(TICK_WAIT_S), model_registry)
    except WarehouseHeldError as error:
        return dg.SensorResult(skip_reason=str(error))
    finding = _finding(age, settings.production_days_behind)
    trouble = {} if finding["passed"] else {TROUBLE: TROUBLE}
    now = {SHOWN: str(age), **trouble}
    told = Told.loads(context.cursor)
    news = told.news(now)
    if SHOWN in news:
        evaluation = dg.AssetCheckEvaluation(
            asset_key=PRODUCTION_MODEL, check_name="production_current", **finding
        )
        context.instance.report_runless_asset_event(evaluation)
    if TROUBLE in news:
        notifier.send(f"{age} {webserver()}/assets/gate_verdict")
    elif TROUBLE in told.over(now):
        notifier.send(f"production has caught up: {age}")
    return dg.SensorResult(cursor=Told(now).dumps(), skip_reason=str(age))


def _finding(age: ProductionAge, allowed: int) -> dict[str, Any]:
    """The check's result, as its evaluation and its result have it in common."""
    return {
        "passed": age.days <= allowed,
        "severity": dg.AssetCheckSeverity.WARN,
        "description": str(age),
        "metadata": {"days behind": age.days, "allowed": allowed},
    }


def _age(warehouse: Warehouse, registry: Registry) -> ProductionAge:
    return production_age(registry.production(), registry.versions(), warehouse.days_accepted())
