"""The statistics of experiments: what looking every day does, and what a plan promises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.experiments.people import World, until
from movierec_assets.monitoring.arms import Difference, Users, difference
from movierec_assets.monitoring.experiments import sentence
from movierec_assets.monitoring.interleaving import interleaved_looks
from movierec_assets.monitoring.power import plan, plan_interleaved
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


def drafted(seed: int, effect: float = 0.0) -> list[Difference]:
    """What is known at the end of each day, of lists drafted from both arms."""
    random = np.random.default_rng(seed)
    world = World.of(PEOPLE, random).interleaved(DAYS, random, effect, common=0.3)
    compared = [world.compared(day, ConfidenceSequence(3000.0)) for day in range(1, DAYS + 1)]
    return [one for one in compared if one is not None]


def test_lists_of_two_arms_that_are_liked_alike_raise_no_false_alarms() -> None:
    wrong = sum(any(one.decided for one in drafted(seed)) for seed in range(200))
    assert wrong / 200 <= 0.05


def test_an_effect_is_found_in_lists_of_both_arms_by_fewer_people_than_between_arms() -> None:
    split = sum(any(look[2] > 0 for look in experiment(seed, 0.35)) for seed in range(60))
    looks = [drafted(seed, 0.35) for seed in range(60)]
    assert sum(any(one.lower > 0 for one in of_one) for of_one in looks) > 1.2 * split
    assert not any(one.upper < 0 for of_one in looks for one in of_one)
    relative = np.mean([of_one[-1].estimate / of_one[-1].control for of_one in looks])
    assert relative == pytest.approx(0.35, abs=0.05)


def test_a_plan_for_lists_of_both_arms_promises_no_more_than_it_keeps() -> None:
    random = np.random.default_rng(1)
    past = World.of(10 * PEOPLE, random).days(DAYS, random)
    planned = plan_interleaved(past, 0.35, 1.0, users=PEOPLE)
    found = sum(any(one.lower > 0 for one in drafted(seed, 0.35)) for seed in range(200))
    assert found / 200 > planned.power[-1] - 0.05
    assert planned.power[-1] > plan(past, 0.35, (0.5, 0.5), users=PEOPLE).power[-1]
    half = plan_interleaved(past, 0.35, 0.5, users=PEOPLE)
    assert (half.users, half.power[-1] < planned.power[-1]) == (PEOPLE // 2, True)


def credited(*rows: tuple[str, str, str, int, int, int]) -> pd.DataFrame:
    columns = ["day", "user_id", "side", "taken_up", "liked", "disliked"]
    return pd.DataFrame(list(rows), columns=columns)


LISTS = pd.DataFrame(
    {"arm": ["b", "production"], "fallbacks": 0.1, "failures": 0.0, "ms": 0.2, "firsts": [14, 11]}
)


def test_each_user_has_one_vote_a_day_however_much_she_takes_up() -> None:
    arms, sequence = ("production", "b"), ConfidenceSequence(100.0)
    often = [("d1", "u0", "b", 9, 9, 0), ("d1", "u0", "production", 1, 0, 2)]
    once = [("d1", f"u{n}", "b" if n % 2 else "both", 1, 1, 0) for n in range(1, 25)]
    looks = interleaved_looks(credited(*often, *once), LISTS, "hit_rate", arms, sequence)
    control, arm = looks
    assert (control.arm, arm.arm, arm.users) == ("production", "b", 25)
    assert control.mean == pytest.approx((0.1 + 12 / 2) / 25)
    assert arm.mean == pytest.approx((0.9 + 12 / 2 + 12) / 25)
    assert arm.middle == pytest.approx(arm.mean - control.mean)
    assert (control.dislikes, arm.dislikes) == (2 / 25, 0)
    assert arm.mismatch == pytest.approx(0.549, abs=0.001)
    assert (arm.fallbacks, arm.ms) == (0.1, 0.2)
    liked = interleaved_looks(credited(*often, *once), LISTS, "likes", arms, sequence)
    assert liked[1].mean == pytest.approx((9 + 12 / 2 + 12) / 25)


def test_movies_of_both_arms_say_nothing_of_either() -> None:
    same = [("d1", f"u{n}", "both", 1, 1, 0) for n in range(50)]
    for rows in (same, same[:0]):
        looks = interleaved_looks(
            credited(*rows), LISTS, "hit_rate", ("production", "b"), ConfidenceSequence(100.0)
        )
        assert looks[1].middle is None
        assert "too few" in sentence(looks, "hit_rate", 0.05, False, drafted=True)
