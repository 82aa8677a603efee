"""The upkeep of a home: a check that nothing is lost, and the weekly prune."""

from datetime import UTC, datetime

import dagster as dg

from movierec_assets.defs.shared.header import OWNERS, POOL
from movierec_assets.defs.shared.keys import PRODUCTION_MODEL
from movierec_assets.defs.shared.metadata import table
from movierec_assets.maintenance.backup import maintenance
from movierec_assets.maintenance.disk import bytes_by_store, in_words
from movierec_assets.maintenance.losses import losses
from movierec_assets.maintenance.prune import plan_prune, prune
from movierec_assets.platform import Platform


@dg.asset_check(
    asset=PRODUCTION_MODEL,
    description="No store has lost what another one knows of: bundles, twins, versions, chunks. A "
    "failure lists each loss with what to do; mostly `movierec recover --apply` makes it again.",
)
def nothing_lost(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
    """Compare the stores of the home; each loss is named with what to do."""
    lost = losses(platform)
    rows = [(loss.store, loss.missing, loss.remedy) for loss in lost]
    return dg.AssetCheckResult(
        passed=not lost,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(map(str, lost)) or None,
        metadata={"lost": table(("store", "found", "remedy"), rows)},
    )


class Prune(dg.Config):
    """Whether to remove what is named; without it the setting MOVIEREC_PRUNE decides."""

    apply: bool | None = None


@dg.op(pool=POOL)
def prune_versions(
    context: dg.OpExecutionContext, config: Prune, platform: dg.ResourceParam[Platform]
) -> None:
    """Say which versions are no longer needed, and remove them if that is wanted."""
    home_settings, warehouse = platform.settings, platform.settings.warehouse
    removing = home_settings.prune if config.apply is None else config.apply
    with maintenance(warehouse):
        before = bytes_by_store(warehouse)
        plan = plan_prune(platform, home_settings.keep_versions)
        context.log.info(f"{plan}; {in_words(before)}")
        if removing:
            prune(platform, plan, f"pruned {datetime.now(UTC).date().isoformat()}")
    after = bytes_by_store(warehouse)
    stores = [(name, size, after.get(name, 0)) for name, size in before.items()]
    context.add_output_metadata(
        {
            "removed" if removing else "would be removed": str(plan),
            "versions": table(
                ("version", "data until", "identity"),
                [
                    (version.number, version.data_until, version.identity)
                    for version in plan.versions
                ],
            ),
            "kept": table(("version", "why"), sorted(plan.kept.items())),
            "bytes": table(("store", "before", "after"), stores),
        }
    )


@dg.job(
    description="Remove old versions that nothing needs. It only says which, unless MOVIEREC_PRUNE "
    "or the run's config wants them removed.",
    owners=OWNERS,
)
def prune_job() -> None:
    prune_versions()


@dg.schedule(
    "30 3 * * 0",
    job=prune_job,
    execution_timezone="UTC",
    description="Sunday night: which old versions nothing needs, or their removal.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    owners=OWNERS,
)
def prune_weekly() -> dg.RunRequest:
    """Sunday night: what could be removed, or its removal; bytes by store before and after."""
    return dg.RunRequest()


upkeep_job = dg.define_asset_job(
    "upkeep",
    dg.AssetSelection.checks(dg.AssetCheckKey(PRODUCTION_MODEL, "nothing_lost")),
    description="Whether a store has lost something.",
    owners=OWNERS,
)


@dg.schedule(
    "30 5 * * *",
    job=upkeep_job,
    execution_timezone="UTC",
    description="Each morning: whether a store has lost something.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    owners=OWNERS,
)
def look_for_losses() -> dg.RunRequest:
    """Each morning, before anybody asks why a day was not trained."""
    return dg.RunRequest()
