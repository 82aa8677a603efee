"""Production by hand: one job, by which a person pins, revokes or approves a version."""

import dagster as dg
from pydantic import Field

from movierec_assets.defs.shared.header import OWNERS
from movierec_assets.defs.shared.production import reconcile_production
from movierec_assets.defs.shared.sharing import share
from movierec_assets.errors import ChangeError
from movierec_assets.ports import Registry
from movierec_assets.promotion.decisions import Action
from movierec_assets.resources.dagster_instance import USER
from movierec_assets.resources.stores.home_files import HomeFiles


class Change(dg.Config):
    """What to do to which version, and why."""

    action: Action = Field(description="pin, unpin, revoke, unrevoke or approve")
    version: int = Field(description="MLflow's number of the version")
    reason: str = Field(description="why, in words: it is kept with the version")


# What the launchpad shows at first; it is refused until a version and a reason are given.
TEMPLATE = {"action": "pin", "version": 0, "reason": ""}


@dg.op
def change_production(
    context: dg.OpExecutionContext,
    config: Change,
    model_registry: dg.ResourceParam[Registry],
    home_files: dg.ResourceParam[HomeFiles],
) -> None:
    """Record the decision in the registry, then reconcile: the endpoints follow within a sensor's
    interval.
    """
    try:
        model_registry.change(config.action, config.version, config.reason)
    except ChangeError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    what = f"{config.action} version {config.version} ({config.reason})"
    user = context.run.tags.get(USER)
    asked = f"set_production by {user}" if user else "set_production"
    by = f"{asked}: {what}"
    production = reconcile_production(context.instance, model_registry, by, context.run_id)
    share(context, home_files.share)
    context.log.info(f"{by}; production is {production or 'none'}")


@dg.job(
    description="Pin, unpin, revoke, unrevoke or approve a version, with a reason. Fill in action, "
    "version and reason in the launchpad.",
    config={"ops": {"change_production": {"config": TEMPLATE}}},
    owners=OWNERS,
)
def set_production() -> None:
    change_production()
