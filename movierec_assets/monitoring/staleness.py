"""Which days' models no longer follow from the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from movierec_assets.training.day_model import DayModel
from movierec_assets.training.identity import running_digests


def stale_days(
    models: Iterable[DayModel], partitions: Sequence[tuple[str, str]], window_days: int | None
) -> list[str]:
    """Days whose model was made from other data than the ledger now names, or on another model than
    there now is.

    A day is stale if its digest of partitions differs, if it was warm-started from (or has, on a
    day without ratings) another model than the day before's, or if that one is stale itself.

    Args:
        models: one a day, oldest first.
        partitions: (day, data version) of every accepted day with ratings, ascending.
        window_days: of the training data; None for all.
    """
    days_with_ratings = {day for day, _ in partitions}
    in_order = list(models)
    expected = running_digests(partitions, [model.day for model in in_order], window_days)
    before: dict[str, DayModel] = {}
    stale: dict[str, None] = {}
    for model in in_order:
        yesterday = (date.fromisoformat(model.day) - timedelta(days=1)).isoformat()
        parent = before.get(yesterday)
        if _differs(model, parent, expected, days_with_ratings) or (
            _follows(model) and yesterday in stale
        ):
            stale[model.day] = None
        before[model.day] = model
    return list(stale)


def _follows(model: DayModel) -> bool:
    return model.fit in ("warm", "inherited")


def _differs(
    model: DayModel,
    parent: DayModel | None,
    expected: Mapping[str, str | None],
    days_with_ratings: set[str],
) -> bool:
    if model.fit == "none":
        return expected[model.day] is not None
    if model.fit == "inherited":
        return model.day in days_with_ratings or parent is None or model.identity != parent.identity
    if model.fit == "warm" and (parent is None or model.parent != parent.identity):
        return True
    return model.partitions_digest != expected[model.day]
