"""How far production is behind, and that somebody is told of it once."""

from __future__ import annotations

from movierec_assets.monitoring.production_age import ProductionAge, production_age
from movierec_assets.promotion.version import Version

DAYS = ["2026-03-01", "2026-03-02", "2026-03-03"]


def version(number: int, **tags: str) -> Version:
    return Version(number, f"identity-{number}", DAYS[number - 1], "run", tags)


def test_production_that_has_seen_every_accepted_day_is_not_behind() -> None:
    newest = version(3, gate="passed")
    age = production_age(newest, [newest], DAYS)
    assert age == ProductionAge(0, "")
    assert str(age) == "production has seen every accepted day"


def test_the_newest_verdict_says_why() -> None:
    production = version(1, gate="passed")
    refused = version(3, gate="refused", gate_reason="holds 1 of 2 accepted ratings")
    age = production_age(production, [production, version(2, gate="passed"), refused], DAYS)
    assert str(age) == (
        "production is 2 days behind, because version 3 (2026-03-03) is refused: "
        "holds 1 of 2 accepted ratings"
    )


def test_a_pin_a_revocation_and_a_missing_model_are_named() -> None:
    pinned = version(2, gate="passed", pinned="complaints")
    assert production_age(pinned, [pinned], DAYS).why == "version 2 is pinned"
    production, revoked = version(2, gate="passed"), version(3, gate="passed", revoked="broken")
    why = production_age(production, [production, revoked], DAYS).why
    assert why == "version 3 (2026-03-03) is revoked: broken"
    why = production_age(production, [production], DAYS).why
    assert why == "2026-03-03 has no registered model yet"


def test_a_version_of_an_experiment_keeps_nothing_back() -> None:
    """It is newer and never judged; what is waited for is production's own."""
    production, arms = version(2, gate="passed"), version(3, arm="wide")
    why = production_age(production, [production, arms], DAYS).why
    assert why == "2026-03-03 has no registered model yet"


def test_without_production_all_accepted_days_are_missing() -> None:
    waiting = version(3, gate="awaiting_approval", gate_reason="few users")
    age = production_age(None, [waiting], DAYS)
    assert (age.days, age.why) == (3, "version 3 (2026-03-03) awaits approval: few users")
