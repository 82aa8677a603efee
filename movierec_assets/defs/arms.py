"""The asset of an experiment's arms: their newest models, served as fresh as production.

What a person asks of an experiment is `experiments.py`'s.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from movierec_assets.defs.shared.arms import ArmStores
from movierec_assets.defs.shared.days import Results, each_day
from movierec_assets.defs.shared.header import daily_asset
from movierec_assets.defs.shared.keys import GATE_VERDICT
from movierec_assets.defs.shared.metadata import Metadata, table
from movierec_assets.errors import NotReadyError, SparkError
from movierec_assets.platform import Platform
from movierec_serving.bundle import BundleError


def experiment_arms(models: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    """The asset, for arms whose models are `models`."""
    make = daily_asset(
        name="experiment_arms", deps=[*models, GATE_VERDICT], kinds={"mlflow", "litserve"}
    )
    return make(_renew_arms)


def _renew_arms(
    context: dg.AssetExecutionContext,
    platform: dg.ResourceParam[Platform],
    mlflow: dg.ResourceParam[Any],
) -> Results:
    """The newest model of each arm of the experiment under way, served as fresh as production.

    Registered and published, not judged: an arm is on trial, and no arm's version is ever
    production without the gate. A version that an endpoint refuses leaves the one before it.
    """
    stores = ArmStores(platform, mlflow, context)
    metadata: dict[str, Metadata] = {}

    def renew(day: str) -> None:
        trial = platform.warehouse.running()
        if trial is None or day != context.partition_keys[-1]:
            metadata[day] = {
                "note": "no experiment is under way"
                if trial is None
                else "the last day of the run has the arms"
            }
            return
        try:
            renewed = stores.renewed(trial, {"dagster_run": context.run.run_id})
            platform.warehouse.record_trial(renewed)
            stores.carry_out(renewed.experiment)
        except (NotReadyError, BundleError, SparkError, dg.Failure) as error:
            # A failure would keep the stages after this one from the day.
            said = f"the arms of {trial.name} are not all renewed: {error}"
            context.log.error(said)
            platform.notifier.send(said)
            metadata[day] = {"experiment": trial.name, "note": said}
            return
        shares = renewed.experiment.shares
        rows = [(arm.name, shares[arm.name], arm.version or 0) for arm in renewed.experiment.arms]
        metadata[day] = {"experiment": trial.name, "arms": table(("arm", "share", "version"), rows)}

    yield from each_day(context, renew, lambda days: {day: metadata[day] for day in days})
