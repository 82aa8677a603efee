"""Which days were delivered and never asked for: after the schedule, or while nothing ran."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def missed_days(
    delivered: Sequence[str], ingested: Collection[str], modelled: Collection[str], until: str
) -> list[str]:
    """Days up to `until` that are behind the first one which was asked for.

    A day is missed if it was delivered and not ingested, or ingested and has no model although an
    earlier day has one. What lies before the first ingested day is history: a person asks for it.

    Args:
        delivered: days with a file that can be read.
        ingested: days with a chunk in the ledger.
        modelled: days with a model.
    """
    if not ingested:
        return []
    first = min(ingested)
    new = {day for day in delivered if first < day <= until and day not in ingested}
    begun = min(modelled, default=until)
    untrained = {day for day in ingested if begun < day <= until and day not in modelled}
    return sorted(new | untrained)
