"""What a day that one stage does not finish means to the stages beside it and after it."""

import dagster as dg

from movierec_assets.defs.shared.days import Results, each_day

DAY = "2026-01-02"
daily = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-04")


@dg.asset(partitions_def=daily)
def a_policy(context: dg.AssetExecutionContext) -> Results:
    def train(day: str) -> None:
        raise ValueError(f"{day} cannot be trained")

    yield from each_day(context, train, lambda days: {day: {} for day in days})


@dg.asset(partitions_def=daily)
def production(context: dg.AssetExecutionContext) -> Results:
    yield from each_day(context, lambda _: None, lambda days: {day: {} for day in days})


def test_a_stage_beside_one_that_failed_is_done_all_the_same() -> None:
    """A policy that cannot be trained took production's model of the day along."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [a_policy, production], partition_key=DAY, instance=instance, raise_on_error=False
        )
    assert [event.step_key for event in result.get_step_failure_events()] == ["a_policy"]
    (done,) = result.asset_materializations_for_node("production")
    assert done.partition == DAY
