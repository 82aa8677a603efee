"""The statistics of experiments: what looking every day does, and what a plan promises."""

from __future__ import annotations

import numpy as np
import pytest

from bench.experiments.people import World, until
from movierec_assets.monitoring.arms import Users, difference
from movierec_assets.monitoring.power import plan
from movierec_assets.monitoring.sequential import ConfidenceSequence, mismatch

DAYS, PEOPLE = 20, 600


def experiment(seed: int, effect: float = 0.0, *, known: bool = False) -> list[tuple[float, ...]]:
    """(estimate, error, lower, upper) at the end of each day."""
    random = np.random.default_rng(seed)
    world = World.of(PEOPLE, random)
    before = world.days(4 * DAYS, random) if known else None
    arm = random.random(PEOPLE) < 0.5
    history = world.days(DAYS, random, arm, effect)
    sequence = ConfidenceSequence(tightest_at=2000.0)
    looks = []
    for day in range(1, DAYS + 1):
        control, other = (until(history, day, some, before) for some in (~arm, arm))
        found = difference(control, other, sequence)
        assert found is not None
        looks.append((found.estimate, found.error, found.lower, found.upper))
    return looks


def test_looking_every_day_raises_no_false_alarms() -> None:
    """The test that is made for one look is wrong far more often than it says."""
    wrong_sequence = wrong_once = 0
    for seed in range(200):
        looks = experiment(seed)
        wrong_sequence += any(lower > 0 or upper < 0 for _, _, lower, upper in looks)
        wrong_once += any(abs(estimate) > 1.96 * error for estimate, error, _, _ in looks)
    assert wrong_sequence / 200 <= 0.05
    assert wrong_once / 200 > 0.12


def test_what_is_known_from_before_narrows_the_interval_and_moves_nothing() -> None:
    plain, adjusted = (
        np.mean([experiment(seed, 0.3, known=known)[-1] for seed in range(40)], axis=0)
        for known in (False, True)
    )
    assert adjusted[1] < 0.95 * plain[1]
    assert adjusted[3] - adjusted[2] < 0.95 * (plain[3] - plain[2])
    assert plain[0] == pytest.approx(0.25 * 0.3, abs=0.012)
    assert adjusted[0] == pytest.approx(0.25 * 0.3, abs=0.012)


def test_a_plan_keeps_its_promise() -> None:
    random = np.random.default_rng(1)
    past = World.of(10 * PEOPLE, random).days(DAYS, random)
    planned = plan(past, 0.35, (0.5, 0.5), users=PEOPLE)
    sequence = ConfidenceSequence(planned.information)
    found = 0
    for seed in range(200):
        looks = experiment(seed + 1000, 0.35)
        widths = sequence.half_width(np.array([look[1] for look in looks]))
        found += any(look[0] > width for look, width in zip(looks, widths, strict=True))
    assert found / 200 == pytest.approx(planned.power[-1], abs=0.1)
    assert (np.diff(planned.power) >= 0).all()
    more = plan(past, 0.35, (0.5, 0.5), users=2 * PEOPLE)
    assert more.days is not None
    assert more.power[more.days - 2] < 0.8 <= more.power[more.days - 1]
    fewer = plan(past, 0.35, (0.5, 0.1), users=PEOPLE)
    assert fewer.power[-1] < planned.power[-1] < more.power[-1]
    assert fewer.days is None


def test_an_interval_of_a_few_users_is_not_given() -> None:
    few = Users(np.ones(19), np.ones(19))
    assert difference(few, Users(np.ones(500), np.ones(500)), ConfidenceSequence(100.0)) is None


def test_the_bound_is_the_formula_of_its_source() -> None:
    """Howard et al. (2021), eq. (14), at V = 400 with r = 25: sqrt(425 log(425 / (0.05^2 25)))."""
    sequence = ConfidenceSequence(tightest_at=1.0)
    scale = 25.0 / sequence.mixture
    bound = ConfidenceSequence(tightest_at=scale).half_width(np.array([0.05]))[0]
    assert bound == pytest.approx((425 * np.log(425 / (0.05**2 * 25))) ** 0.5 / 400)


def test_users_who_come_to_the_arms_by_other_shares_are_noticed() -> None:
    even = np.array([0.5, 0.5])
    assert mismatch(np.array([10_400, 9_600]), even) < 1e-7
    assert mismatch(np.array([10_050, 9_950]), even) > 0.3
    assert mismatch(np.array([1_000, 9_000]), np.array([0.1, 0.9])) == 1.0
