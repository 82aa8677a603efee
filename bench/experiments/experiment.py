"""How often an experiment that is looked at every day is wrong, and how often it finds what is
there; and whether anybody changes arm while processes are killed and versions reloaded.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from bench.experiments.people import World, until
from bench.experiments.under_load import disturbed
from bench.goals import goal, wilson
from movierec_assets.monitoring.arms import difference
from movierec_assets.monitoring.experiments import MISMATCH_LEVEL
from movierec_assets.monitoring.power import Plan, plan, plan_interleaved
from movierec_assets.monitoring.sequential import ConfidenceSequence, mismatch

PEOPLE, DAYS, BEFORE = 2000, 30, 28
WORLDS = 1000
EFFECT = 0.16  # relative, on how likely a person takes up what she is shown
KILLS, RELOADS = 20, 50


def main() -> bool:
    """All parts; whether every goal is met."""
    planned = _planned()
    met = [_alike(planned), *_planted(planned), *_mismatched()]
    met += _interleaved()
    for interleave in (False, True):
        with tempfile.TemporaryDirectory(prefix="movierec-experiment-") as folder:
            met += _disturbed(Path(folder), interleave)
    return all(met)


def _planned() -> Plan:
    """From what other people of the same kind did on as many days."""
    random = np.random.default_rng(7)
    past = World.of(10 * PEOPLE, random).days(DAYS, random)
    return plan(past, EFFECT, (0.5, 0.5), users=PEOPLE)


def _found(planned: Plan, seed: int, effect: float, *, cuped: bool) -> tuple[bool, bool, bool]:
    """Of one world looked at on each day: (anything, the right sign, a test for one look)."""
    random = np.random.default_rng(seed)
    world = World.of(PEOPLE, random)
    before = world.days(BEFORE, random) if cuped else None
    arm = random.random(PEOPLE) < 0.5
    history, bounds = world.days(DAYS, random, arm, effect), ConfidenceSequence(planned.information)
    anything = right = once = False
    for day in range(1, DAYS + 1):
        control, other = (until(history, day, some, before) for some in (~arm, arm))
        compared = difference(control, other, bounds)
        if compared is not None:
            anything |= compared.decided
            right |= compared.lower > 0
            once |= abs(compared.estimate) > 1.96 * compared.error
    return anything, right, once


def _alike(planned: Plan) -> bool:
    rows = {
        cuped: np.array([_found(planned, seed, 0.0, cuped=cuped) for seed in range(WORLDS)])
        for cuped in (False, True)
    }
    print(f"A/A: {WORLDS} worlds of {PEOPLE} people, looked at on each of {DAYS} days\n")
    print("| | wrong alarms | 95 % |\n|---|---|---|")
    for name, wrong in (
        ("confidence sequence", rows[False][:, 0]),
        ("the same with CUPED", rows[True][:, 0]),
        ("a 95 % test at each look", rows[False][:, 2]),
    ):
        low, high = wilson(int(wrong.sum()), WORLDS)
        print(f"| {name} | {wrong.mean():.1%} | {low:.1%} to {high:.1%} |")
    return all(
        [
            goal("wrong_alarms", float(rows[False][:, 0].mean()), 0.05),
            goal("wrong_alarms_cuped", float(rows[True][:, 0].mean()), 0.05),
        ]
    )


def _planted(planned: Plan) -> list[bool]:
    worlds = WORLDS // 2
    rates = {
        cuped: float(
            np.mean([_found(planned, 10_000 + s, EFFECT, cuped=cuped)[1] for s in range(worlds)])
        )
        for cuped in (False, True)
    }
    power = float(planned.power[-1])
    print(f"\n{EFFECT:.0%} more, {worlds} worlds: planned {power:.3f}, found {rates[False]:.3f}, ")
    print(f"with CUPED {rates[True]:.3f}; planned days for 0.8: {planned.days}\n")
    return [goal("found_minus_planned", abs(rates[False] - power), 0.05)]


def _mismatched() -> list[bool]:
    """Users come over the days, and each evening the counts are tested."""
    random = np.random.default_rng(3)
    users = 20_000
    rates = {}
    for share in (0.52, 0.5):
        arrived = random.binomial(users // DAYS, share, (WORLDS, DAYS)).cumsum(axis=1)
        days = np.arange(1, DAYS + 1) * (users // DAYS)
        even = np.array([0.5, 0.5])
        rates[share] = float(
            np.mean(
                [
                    any(
                        mismatch(np.array([came, total - came]), even) < MISMATCH_LEVEL
                        for came, total in zip(row, days, strict=True)
                    )
                    for row in arrived.tolist()
                ]
            )
        )
    print(f"mismatch with {users:,} users: 52:48 found {rates[0.52]:.1%}, 50:50 {rates[0.5]:.1%}")
    return [
        goal("mismatch_found", rates[0.52], 0.95, at_most=False),
        goal("mismatch_wrongly", rates[0.5], 0.01),
    ]


def _interleaved() -> list[bool]:
    """Lists that are drafted from both arms: wrong alarms, what a plan promises, and how many
    people one look needs for a power of 0.8.
    """
    past = World.of(10 * PEOPLE, np.random.default_rng(7))
    planned = plan_interleaved(past.days(DAYS, np.random.default_rng(8)), EFFECT, 1.0, users=PEOPLE)
    power, met = float(planned.power[-1]), []
    print(f"lists drafted from both arms, {WORLDS} worlds, looked at on each of {DAYS} days:\n")
    print("| movies in both | wrong alarms | 95 % | found, of planned |\n|---|---|---|---|")
    for common in (0.0, 0.5):
        alarms = [_drafted(planned, seed, 0.0, common) for seed in range(WORLDS)]
        found = [_drafted(planned, 10_000 + seed, EFFECT, common) for seed in range(WORLDS // 2)]
        wrong, right = (sum(one != 0 for one in alarms), sum(one > 0 for one in found))
        low, high = wilson(wrong, WORLDS)
        share = right / len(found)
        print(f"| {common:.0%} | {wrong / WORLDS:.1%} | {low:.1%} to {high:.1%} ", end="")
        print(f"| {share:.3f} of {power:.3f} |")
        met += [
            goal(f"wrong_alarms_interleaved_{common:g}", wrong / WORLDS, 0.05),
            goal(f"promised_minus_found_{common:g}", power - share, 0.05),
        ]
    print(f"\nplanned days for 0.8: {planned.days}\n")
    _people()
    return met


def _drafted(planned: Plan, seed: int, effect: float, common: float) -> int:
    """The sign of what one world of drafted lists says first, looked at on each day; 0 if
    nothing.
    """
    random, bounds = np.random.default_rng(seed), ConfidenceSequence(planned.information)
    world = World.of(PEOPLE, random).interleaved(DAYS, random, effect, common)
    for day in range(1, DAYS + 1):
        compared = world.compared(day, bounds)
        if compared is not None and compared.decided:
            return 1 if compared.lower > 0 else -1
    return 0


def _people() -> None:
    """How many people one look needs, when arms split people and when they split lists."""
    bounds = ConfidenceSequence(1e4)

    def split(seed: int, *, cuped: bool) -> float:
        random = np.random.default_rng(seed)
        world = World.of(PEOPLE, random)
        before = world.days(BEFORE, random) if cuped else None
        arm = random.random(PEOPLE) < 0.5
        history = world.days(DAYS, random, arm, EFFECT)
        control, other = (until(history, DAYS, some, before) for some in (~arm, arm))
        compared = difference(control, other, bounds)
        return compared.estimate / compared.error if compared is not None else 0.0

    def drafted(seed: int, *, common: float) -> float:
        random = np.random.default_rng(seed)
        world = World.of(PEOPLE, random).interleaved(DAYS, random, EFFECT, common)
        compared = world.compared(DAYS, bounds)
        return compared.estimate / compared.error if compared is not None else 0.0

    print(f"{EFFECT:.0%} more, people for a power of 0.8 at one look after {DAYS} days:\n")
    print("| | people |\n|---|---|")
    for name, standardised in (
        ("split by person", partial(split, cuped=False)),
        ("split by person, CUPED", partial(split, cuped=True)),
        ("interleaved, no movie in both rankings", partial(drafted, common=0.0)),
        ("interleaved, half of the movies in both", partial(drafted, common=0.5)),
    ):
        mean = np.mean([standardised(seed) for seed in range(WORLDS // 2)])
        print(f"| {name} | {PEOPLE * ((1.96 + 0.8416) / mean) ** 2:,.0f} |")
    print()


def _disturbed(home: Path, interleave: bool) -> list[bool]:
    seen = disturbed(home, kills=KILLS, reloads=RELOADS, interleave=interleave)
    how = "interleaved" if interleave else "split"
    print(
        f"\n{how}: {seen.kills} kills and {seen.reloads} reloads under load: {seen.answers:,} "
        f"answers to {seen.users} users, {seen.lines:,} lists written down"
    )
    return [
        goal(f"{how}_changed_arm", seen.changed, 0, digits=0),
        goal(f"{how}_answers_not_written_down", seen.lost, 0, digits=0),
        goal(f"{how}_written_down_twice", seen.twice, 0, digits=0),
        goal(f"{how}_one_version_gave_two_lists", seen.redrafted, 0, digits=0),
    ]
