"""Somebody new is asked about movies that tell something, and not twice about the same."""

import numpy as np

from movierec_serving.bundle import Model, questions
from tests.support.sample_models import by_bytes, content, content_of

PARAMETERS = {"regularization": 1.0, "alpha": 1.0}


def model_of(vectors: list[list[float]], popularity: list[int]) -> Model:
    """Movies m0, m1, … with these vectors; users differ alike in every direction."""
    random = np.random.default_rng(0)
    ids = by_bytes([f"m{n}" for n in range(len(vectors))])
    users = random.normal(size=(200, len(vectors[0])))
    seen = [np.arange(len(vectors))] * 200
    return content(
        users=200,
        items=len(vectors),
        item_ids=ids,
        user_ids=by_bytes([f"u{n:03}" for n in range(200)]),
        user_factors=users.astype(np.float32),
        item_factors=np.array(vectors, np.float32),
        seen_indptr=np.cumsum([0, *map(len, seen)]).astype(np.int64),
        seen_items=np.concatenate(seen).astype(np.int32),
        seen_ratings=np.full(200 * len(vectors), 4.0, np.float32),
        seen_confidence=np.ones(200 * len(vectors), np.float32),
        popularity=np.array(popularity, np.float32),
    ).model(PARAMETERS)


def test_an_answer_makes_its_likes_worth_less() -> None:
    """Ten movies of one kind are more popular than each of another kind."""
    model = model_of([[2, 0]] * 5 + [[0, 2]] * 5, [200] * 5 + [190] * 5)
    first, second = questions(model, [], [], 2)
    assert (first < 5, second < 5) == (True, False)
    (after,) = questions(model, [first], [], 1)
    assert after >= 5


def test_a_movie_that_hardly_anybody_knows_is_not_asked_about_first() -> None:
    model = model_of([[2, 0], [3, 0], [0, 1]], [200, 2, 150])
    assert questions(model, [], [], 3)[-1] == 1


def test_what_was_answered_or_left_out_is_not_asked_about() -> None:
    model = model_of([[1, n / 10] for n in range(8)], [200] * 8)
    assert set(questions(model, [0, 3], [5], 10)) == {1, 2, 4, 6, 7}
    assert questions(model, range(8), [], 3) == []


def test_a_family_without_factors_is_asked_by_popularity() -> None:
    model = content_of("ease", users=12, items=40).model({"regularization": 1.0})
    popular = model.popular_items.tolist()
    assert questions(model, popular[:1], popular[2:3], 2) == [popular[1], popular[3]]
