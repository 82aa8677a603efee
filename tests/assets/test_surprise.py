"""A day unlike those before it is a warning with numbers."""

from __future__ import annotations

import dagster as dg
import pytest

from movierec_assets.ratings.surprise import Shares, surprises
from tests.conftest import Platform
from tests.support.generate import as_csv, catalogue, days_from, ratings_of_day

DAYS = days_from("1998-03-02", 7)
USUAL = [Shares(day, 0.05, 0.1, 0.02) for day in DAYS[:6]]


@pytest.mark.parametrize(
    ("today", "said"),
    [
        (Shares(DAYS[6], 0.2, 0.25, 0.2), None),
        (Shares(DAYS[6], 0.5, 0.1, 0.02), "50.0% of its ratings name movies outside the catalogue"),
        (Shares(DAYS[6], 0.05, 1.0, 0.02), "100.0% of its users are new, usually 10.0%"),
        (Shares(DAYS[6], 0.05, 0.1, 0.9), "90.0% of its movies are new, usually 2.0%"),
    ],
)
def test_a_share_far_above_the_usual_one_is_said(today: Shares, said: str | None) -> None:
    found = surprises([*USUAL, today], [DAYS[6]], 0.2)
    assert found == {} if said is None else said in found[DAYS[6]]


def test_on_a_first_day_all_users_are_new_and_only_the_catalogue_counts() -> None:
    first = Shares(DAYS[0], 0.0, 1.0, 1.0)
    assert surprises([first], DAYS, 0.2) == {}
    assert (
        "outside the catalogue, usually 0.0%"
        in surprises([Shares(DAYS[0], 0.3, 1.0, 1.0)], DAYS, 0.2)[DAYS[0]]
    )


def test_a_day_of_phantoms_is_a_warning_and_no_failure(platform: Platform) -> None:
    platform.landing_zone.deliver_movies(catalogue())
    for day in DAYS[:6]:
        platform.deliver(day)
    rows = ratings_of_day(DAYS[6])
    platform.landing_zone.deliver(
        DAYS[6], as_csv([[f"{user}x", f"{movie}x", *rest] for user, movie, *rest in rows])
    )
    assert platform.run("-", job="catalogue").success
    result = platform.run(DAYS[0], DAYS[6], "raw_ratings", "validated_ratings")
    assert result.success
    (check,) = [
        one for one in result.get_asset_check_evaluations() if one.check_name == "days_as_usual"
    ]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert str(check.description).startswith(
        f"{DAYS[6]}: 100.0% of its ratings name movies outside"
    )
    assert "100.0% of its users are new" in str(check.description)
