"""What a rating says: a hated movie is no liked one, and a harsh user's praise is praise."""

from __future__ import annotations

import numpy as np
import pytest

from movierec_serving.bundle.taste import (
    disliked,
    liked,
    own_mean,
    popular_scores,
    signed,
    user_means,
)


def test_a_harsh_users_three_stars_are_praise_and_a_mild_ones_are_not() -> None:
    stars = np.array([3.0])
    assert liked(stars, 1.8).all()
    assert not liked(stars, 3.9).any()
    assert liked(np.array([4.0]), 4.9).all()  # four stars always are


def test_low_stars_warn_unless_they_are_what_the_user_gives() -> None:
    assert disliked(np.array([2.0]), 3.5).all()
    assert not disliked(np.array([2.0]), 2.2).any()
    assert disliked(np.array([0.5, 1.0]), 1.0).all()  # one star never praises


def test_a_users_mean_is_drawn_towards_everybodys() -> None:
    stars, indptr = np.array([0.5, 0.5, 5.0]), np.array([0, 2, 2, 3])
    means = user_means(stars, indptr, 3.0)
    assert means == pytest.approx([(1.0 + 15) / 7, 3.0, (5.0 + 15) / 6])
    assert own_mean(stars[:2], 3.0) == pytest.approx(means[0])


def test_a_dislike_weighs_against() -> None:
    weights, stars = np.array([0.1, 5.0]), np.array([0.5, 5.0])
    assert signed(weights, stars, 3.0, 2.0).tolist() == [-2.0, 5.0]
    assert signed(weights, stars, 3.0, 0.0).tolist() == [0.1, 5.0]
    assert signed(weights, stars, 3.0, None).tolist() == [0.1, 5.0]  # models of 0.2.0


def test_popular_is_what_people_liked_and_not_what_they_rated() -> None:
    likes, ratings = np.array([40.0, 5.0, 10.0]), np.array([50.0, 100.0, 10.0])
    scores = popular_scores(likes, ratings)
    assert scores.argsort().tolist() == [1, 2, 0]
    assert scores[0] == pytest.approx(40 * (40 + 25 * 55 / 160) / 75)
