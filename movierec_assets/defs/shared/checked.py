"""A check of what is served: it always has a result, and a failure is told once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg

from movierec_assets.defs.shared.keys import SERVED_MODEL
from movierec_assets.monitoring.told import Told
from movierec_assets.ports import Notices
from movierec_assets.resources.notifier import webserver

HISTORY = 100  # evaluations looked back on; those that were planned and not made come between
Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


@dataclass(frozen=True)
class Outcome:
    """What a check found, why, and its figures; `version` is among them where one is served."""

    passed: bool
    why: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def result(self) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=self.passed, description=self.why, metadata=dict(self.metadata)
        )


def checked(
    context: Context, notifier: Notices, check: str, find: Callable[[], Outcome]
) -> Outcome:
    """What a check of `served_model` finds; an exception is a failure.

    A failure is told once for each version that fails without a pass in between.
    """
    try:
        outcome = find()
    except Exception as error:
        context.log.exception(check)
        outcome = Outcome(False, f"{type(error).__name__}: {error}")
    outcome = replace(outcome, metadata={"version": "none", **outcome.metadata})
    now = {} if outcome.passed else {check: str(outcome.metadata["version"])}
    for name in _told_before(context.instance, check).news(now):
        link = f"{webserver()}/assets/served_model?view=checks"
        notifier.send(f"{name} failed: {outcome.why} {link}")
    return outcome


def _told_before(instance: dg.DagsterInstance, check: str) -> Told:
    """The version that a check failed for when it was last evaluated."""
    history = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(SERVED_MODEL, check), limit=HISTORY
    )
    for record in history:
        evaluation = record.evaluation
        if isinstance(evaluation, dg.AssetCheckEvaluation):  # else it was only planned
            if evaluation.passed:
                return Told()
            return Told({check: str(evaluation.metadata["version"].value)})
    return Told()
