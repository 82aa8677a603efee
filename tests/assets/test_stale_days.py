"""Which days are stale, by the digests of what they were trained on."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from movierec_assets.monitoring.staleness import stale_days
from movierec_assets.partitions import days_before
from movierec_assets.training.identity import partitions_digest, running_digests
from tests.support.generate import days_from

DAYS = days_from("1998-03-28", 8)

PARTITIONS = [(day, f"sha of {day}/1") for day in DAYS]


# A day's chunks are in the order of their sources, which need not be that of their versions.
TWO_A_DAY = [(day, f"{sha} of {day}/1") for day in DAYS for sha in ("z", "a")]


@pytest.mark.parametrize("partitions", [PARTITIONS, TWO_A_DAY])
@pytest.mark.parametrize("window", [None, 1, 3, 100])
def test_running_digests_are_those_of_each_day(
    window: int | None, partitions: list[tuple[str, str]]
) -> None:
    days = days_from("1998-03-26", 12)  # some before the first partition, some after the last
    expected = {
        day: partitions_digest(within) if within else None
        for day in days
        for within in [
            [
                one
                for one in partitions
                if one[0] <= day and (window is None or one[0] > days_before(day, window))
            ]
        ]
    }
    assert running_digests(partitions, days, window) == expected


@dataclass(frozen=True)
class Model:
    day: str
    identity: str | None
    parent: str | None
    fit: str
    partitions_digest: str | None


def chain(window: int | None = None) -> list[Model]:
    """Eight days: cold, warm …; the fifth has no ratings of its own."""
    digests = running_digests(PARTITIONS, DAYS, window)
    models = [Model(DAYS[0], "i0", None, "cold", digests[DAYS[0]])]
    for nth, day in enumerate(DAYS[1:], 1):
        models.append(Model(day, f"i{nth}", models[-1].identity, "warm", digests[day]))
    return models


def test_what_is_current_is_not_stale() -> None:
    assert stale_days(chain(), PARTITIONS, None) == []
    assert stale_days(chain(2), PARTITIONS, 2) == []


def test_with_a_window_the_children_of_a_stale_day_are_stale_too() -> None:
    redelivered = [(day, "other/1" if day == DAYS[2] else version) for day, version in PARTITIONS]
    assert stale_days(chain(2), redelivered, 2) == DAYS[2:]
    models = chain(2)
    models[6] = Model(DAYS[6], "i6", None, "cold", models[6].partitions_digest)
    assert stale_days(models, redelivered, 2) == DAYS[2:6]


def test_a_day_whose_parent_was_trained_anew_is_stale() -> None:
    models = chain()
    models[3] = Model(DAYS[3], "another", "i2", "warm", models[3].partitions_digest)
    assert stale_days(models, PARTITIONS, None) == DAYS[4:]


def test_a_day_without_ratings_is_stale_once_it_has_some() -> None:
    models = chain()[:3]
    models.append(Model(DAYS[3], "i2", "i1", "inherited", models[2].partitions_digest))
    assert stale_days(models, PARTITIONS[:3], None) == []
    assert stale_days(models, PARTITIONS[:4], None) == [DAYS[3]]
    assert stale_days([Model(DAYS[0], None, None, "none", None)], PARTITIONS, None) == [DAYS[0]]
