"""The generator of ratings that the benchmarks are made on."""

from __future__ import annotations

import numpy as np

from bench.generator import frame, generate
from bench.goals import goal, wilson
from movierec_assets.evaluation.offline import evaluate
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.training.interactions import interactions_of
from tests.models import trained

SIZE = {"users": 300, "movies": 400, "ratings": 12_000, "days": 20}


def test_the_same_seed_gives_the_same_ratings_and_another_gives_others() -> None:
    one, again, other = (frame(generate(**SIZE, seed=seed)) for seed in (3, 3, 4))
    assert one.equals(again)
    assert not one.equals(other)


def test_users_and_movies_arrive_over_time_with_a_long_tail() -> None:
    days = list(generate(**SIZE))
    assert len(np.unique(days[0].movies)) < len(np.unique(days[-1].movies))
    assert days[0].users.max() < days[-1].users.max()
    counts = np.sort(np.bincount(np.concatenate([day.movies for day in days]), minlength=400))[::-1]
    assert counts[:40].sum() > 0.2 * counts.sum()
    for day in days:
        assert (np.diff(day.rated_at) >= 0).all()
        assert set(np.unique(2 * day.stars)) <= set(range(1, 11))


def test_there_is_a_taste_to_learn() -> None:
    data = interactions_of(frame(generate(**SIZE)))
    held = temporal_holdout(data.users)
    found = evaluate(trained(data.select(~held)), data.select(held)).metrics
    assert found["ndcg_at_10"] > 1.5 * found["popularity_ndcg_at_10"]


def test_a_goal_says_whether_it_is_met(capsys) -> None:  # type: ignore[no-untyped-def]
    assert goal("one", 0.1, 0.2)
    assert not goal("two", 0.1, 0.2, at_most=False)
    assert capsys.readouterr().out == "goal one: 0.100 (<= 0.2) ok\ngoal two: 0.100 (>= 0.2) short\n"
    assert wilson(0, 300)[1] < 0.013
