"""What assets have in common, so that a stage says only what is its own."""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from movierec_assets.partitions import daily

GROUP = "movierec"  # one: Dagster opens several as closed boxes
OWNERS = ["team:movierec"]
STAGE = "movierec/stage"  # the tag that says which module of `defs/` makes an asset
POOL = "warehouse"  # DuckDB admits one writer
TICK_WAIT_S = 2.0  # for the warehouse; Dagster ends a tick after 60 s
ONE_RUN = dg.BackfillPolicy.single_run()


def daily_asset(
    *,
    deps: Sequence[dg.AssetKey],
    kinds: set[str],
    name: str | None = None,
    check_specs: Sequence[dg.AssetCheckSpec] = (),
    freshness_policy: dg.FreshnessPolicy | None = None,
    tags: dict[str, str] | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Decorate a stage: partitioned by day, a range of days in one run, one run at a time."""

    def decorate(compute: Callable[..., Any]) -> dg.AssetsDefinition:
        stage = compute.__module__.rpartition(".")[2]
        return dg.asset(
            name=name,
            deps=list(deps),
            kinds=kinds,
            check_specs=list(check_specs),
            freshness_policy=freshness_policy,
            tags={STAGE: stage, **(tags or {})},
            partitions_def=daily,
            backfill_policy=ONE_RUN,
            group_name=GROUP,
            owners=OWNERS,
            pool=POOL,
        )(compute)

    return decorate
