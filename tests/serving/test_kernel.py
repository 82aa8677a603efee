"""The kernel is exact: it equals brute force, whatever the ties, and whoever else is asked for."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from movierec_serving.bundle import Bundle, popular, recommend, top_items
from tests.support.sample_models import content, write


def brute_force(
    items: NDArray[np.float32], user: NDArray[np.float32], seen: set[int], n: int
) -> list[int]:
    exact = (items.astype(np.float64) * user.astype(np.float64)).sum(axis=1)
    return sorted(set(range(len(items))) - seen, key=lambda row: (-exact[row], row))[:n]


@st.composite
def problems(
    draw: st.DrawFn,
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[NDArray[np.int64]], int]:
    users, factors = draw(st.integers(1, 7)), draw(st.integers(1, 5))
    items = draw(st.sampled_from([1, 2, 9, 60, 400]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([1e-30, 1e-3, 1.0, 1e15]))
    kind = draw(st.sampled_from(["normal", "few values", "near ties", "zero"]))
    if kind == "normal":
        table = rng.normal(size=(users + items, factors))
    elif kind == "few values":
        table = rng.integers(-1, 2, size=(users + items, factors)).astype(float)
    elif kind == "near ties":  # differences below what float32 sums can tell
        table = 1 + rng.integers(0, 3, size=(users + items, factors)) * 2.0**-23
    else:
        table = np.zeros((users + items, factors))
    table = (table * (scale if kind != "normal" else min(scale, 1e14))).astype(np.float32)
    exclude = [
        rng.choice(items, size=rng.integers(0, items + 1), replace=False) for _ in range(users)
    ]
    return table[users:], table[:users], exclude, draw(st.sampled_from([1, 3, 10, 500]))


@settings(deadline=None, max_examples=300)
@given(problems())
def test_the_kernel_equals_brute_force(problem: tuple) -> None:
    items, users, exclude, n = problem
    rows, scores = top_items(items, users, exclude, n, block=3)
    for user, left_out, found, score in zip(users, exclude, rows, scores, strict=True):
        expected = brute_force(items, user, set(left_out.tolist()), n)
        assert found.tolist() == expected + [-1] * (n - len(expected))
        assert np.isnan(score[len(expected) :]).all()
        assert np.isfinite(score[: len(expected)]).all()


@settings(deadline=None, max_examples=100)
@given(problems(), st.integers(1, 8))
def test_one_user_or_many_the_same_answer(problem: tuple, block: int) -> None:
    items, users, exclude, n = problem
    together = top_items(items, users, exclude, n, block=block)
    for index in range(len(users)):
        alone = top_items(items, users[index : index + 1], exclude[index : index + 1], n)
        for one, many in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one[0], many[index])


@pytest.mark.parametrize("decay", [0.0, 0.3, 1.0])  # of the lengths: none may be left out, to most
@pytest.mark.parametrize("damped", [False, True])
def test_short_items_are_left_out_without_changing_a_list(decay: float, damped: bool) -> None:
    rng = np.random.default_rng(0)
    lengths = rng.permutation(np.arange(1, 9001) ** -decay)
    items = (rng.normal(size=(9000, 8)) * lengths[:, None]).astype(np.float32)
    items[::50] = items[7]  # ties
    users = rng.normal(size=(40, 8)).astype(np.float32)
    users[5] = 0
    damping = rng.random(9000).astype(np.float32) if damped else None
    exclude = [rng.choice(9000, size=100 * user, replace=False) for user in range(39)]
    exclude.append(np.arange(8995))
    together = top_items(items, users, exclude, 10, damping=damping)
    for user in range(40):
        only = slice(user, user + 1)
        alone = top_items(items, users[only], exclude[only], 10, damping=damping)
        for one, many in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one[0], many[user])


def test_items_that_are_too_short_are_not_scored() -> None:
    items, users = np.full((9000, 8), 0.01, np.float32), np.ones((40, 8), np.float32)
    items[:100] = 1
    items[3] = 9
    lengths = np.linalg.norm(items, axis=1)
    lengths[3] = 0  # which is not so: by its product it is everybody's first
    for asked, first in ((40, 0), (2, 3)):  # few users are not worth the sorting
        rows, _ = top_items(items, users[:asked], [np.arange(0)] * asked, 1, lengths=lengths)
        assert (rows == first).all()


def test_many_items_take_the_blocked_selection(tmp_path: Path) -> None:
    write(tmp_path / "b", content(users=70, items=5000, factors=16))
    bundle = Bundle.open(tmp_path / "b")
    rows, scores = recommend(bundle, np.arange(70), 100)
    for user in (0, 33, 69):
        seen = set(bundle.seen(user).tolist())
        expected = brute_force(bundle.item_vectors, bundle.user_vectors([user])[0], seen, 100)
        assert rows[user].tolist() == expected + [-1] * (100 - len(expected))
    assert (np.diff(scores[:69]) <= 0).all()


def test_rows_that_are_no_users_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "b")
    for rows in ([-1], [12]):
        with pytest.raises(IndexError, match="0 to 11"):
            recommend(Bundle.open(tmp_path / "b"), rows, 3)


def test_popular_items_leave_out_the_excluded_and_break_ties_by_row(tmp_path: Path) -> None:
    popularity = np.zeros(40)
    popularity[[7, 3, 30]] = [5, 5, 9]
    write(tmp_path / "b", content(popularity=popularity))
    bundle = Bundle.open(tmp_path / "b", verify=True)
    scores = bundle.popular_scores
    best = sorted(range(40), key=lambda row: (-scores[row], row))
    assert len(set(scores.tolist())) < 40
    assert popular(bundle, 4).tolist() == best[:4]
    left = [row for row in best if row not in (3, 30)]
    assert popular(bundle, 3, exclude=[3, 30, 3]).tolist() == left[:3]
    assert popular(bundle, 100, exclude=range(39)).tolist() == [39]
