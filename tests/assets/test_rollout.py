"""When a deployment is tried again: decided by literals, without an endpoint or a clock."""

from __future__ import annotations

import pytest

from movierec_assets.promotion.rollout import (
    LONGEST_PAUSE_S,
    Attempt,
    Attempts,
    Endpoints,
    Settled,
    Wait,
    next_step,
)

A, B = "http://a:8000", "http://b:8000"
AGREED = Endpoints({})
DOWN = Endpoints({A: f"{A} does not answer"}, frozenset({A}))
STALE = Endpoints({A: f"{A} serves 2"})
WAITING = Attempts(version=3, attempt=2, not_before=1010.0, down=(A,))


@pytest.mark.parametrize(
    ("attempts", "seen", "now", "step"),
    [
        (Attempts(), AGREED, 1000.0, Settled(after=0)),
        (WAITING, AGREED, 1000.0, Settled(after=2)),
        (Attempts(), STALE, 1000.0, Attempt(1)),
        (WAITING, DOWN, 1009.9, Wait(1010.0, f"{A} does not answer")),
        (WAITING, DOWN, 1010.0, Attempt(3)),
        (WAITING, STALE, 1000.0, Attempt(3)),  # it answers again: the pause was for its silence
        (Attempts(version=2, attempt=9, not_before=1e12), DOWN, 1000.0, Attempt(1)),
    ],
)
def test_the_next_step(
    attempts: Attempts, seen: Endpoints, now: float, step: Settled | Wait | Attempt
) -> None:
    assert next_step(attempts, 3, seen, now)[0] == step


def test_pauses_double_up_to_the_longest() -> None:
    attempts, now, pauses = Attempts(), 1000.0, []
    for _ in range(9):
        step, attempts = next_step(attempts, 3, DOWN, now)
        assert isinstance(step, Attempt)
        pauses.append(attempts.not_before - now)
        now = attempts.not_before
    assert pauses == [5, 10, 20, 40, 80, 160, *[LONGEST_PAUSE_S] * 3]


def test_one_that_goes_down_while_another_is_waited_for_is_tried_when_it_is_back() -> None:
    both = Endpoints({A: "a", B: "b"}, frozenset({A, B}))
    step, attempts = next_step(WAITING, 3, both, 1000.0)
    assert (step, attempts.down) == (Wait(1010.0, "a; b"), (A, B))
    step, _ = next_step(attempts, 3, Endpoints({A: "a", B: "b"}, frozenset({A})), 1001.0)
    assert step == Attempt(3)


def test_what_is_settled_is_settled_once() -> None:
    """The cursor says so in text, which Dagster would not keep if it were empty."""
    step, attempts = next_step(WAITING, 3, AGREED, 1000.0)
    assert step == Settled(after=2)
    cursor = attempts.dumps()
    assert cursor
    assert next_step(Attempts.loads(cursor), 3, AGREED, 1001.0)[0] == Settled(after=0)


@pytest.mark.parametrize("attempts", [Attempts(), WAITING])
def test_a_cursor_is_read_as_it_was_written(attempts: Attempts) -> None:
    assert Attempts.loads(attempts.dumps()) == attempts


def test_a_cursor_of_0_2_0_is_read() -> None:
    assert Attempts.loads(None) == Attempts.loads("") == Attempts()
    old = '{"version": 3, "attempt": 2, "not_before": 1010.0, "down": ["http://a:8000"]}'
    assert Attempts.loads(old) == WAITING
