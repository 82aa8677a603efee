"""Metrics against examples worked by hand, and against implicit's where the definitions agree."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from implicit.evaluation import ndcg_at_k, ranking_metrics_at_k

from movierec_assets.evaluation.metrics import (
    MOVIE_SEGMENTS,
    USER_SEGMENTS,
    average_precision,
    coverage,
    movie_segments,
    ndcg,
    novelty,
    recall,
)
from movierec_assets.evaluation.offline import evaluate
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.ratings.interactions import Interactions
from tests.support.models import interactions_of_tastes, trained


class RankedLists:
    """implicit's evaluation asks a model for lists; these are given."""

    def __init__(self, lists: np.ndarray) -> None:
        self.lists = lists

    def recommend(
        self, users: np.ndarray, *_: object, **__: object
    ) -> tuple[np.ndarray, np.ndarray]:
        return self.lists[users], np.zeros((len(users), self.lists.shape[1]), np.float32)


def test_ndcg_by_hand() -> None:
    hits = np.array([[True, False, True], [False, False, False], [True, True, True]])
    relevant = np.array([2, 1, 5])
    best_of_two = 1 + 1 / np.log2(3)
    assert ndcg(hits, relevant, 3) == pytest.approx([(1 + 1 / 2) / best_of_two, 0.0, 1.0])


def test_recall_by_hand() -> None:
    hits = np.array([[True, False, True], [False, False, False]])
    assert recall(hits, np.array([4, 1]), 3) == pytest.approx([0.5, 0.0])
    assert recall(hits, np.array([4, 1]), 2) == pytest.approx([0.25, 0.0])


def test_average_precision_by_hand() -> None:
    hits = np.array([[False, True, True], [True, False, False]])
    assert average_precision(hits, np.array([2, 7]), 3) == pytest.approx(
        [(1 / 2 + 2 / 3) / 2, 1 / 3]
    )


def test_coverage_counts_a_movie_once_and_empty_places_not_at_all() -> None:
    assert coverage(np.array([[0, 1, 9], [1, -1, 8]], np.int32), movies=8, k=2) == 2 / 8


def test_novelty_is_the_mean_information_of_what_is_shown() -> None:
    popularity = np.array([8, 2, 1], np.float32)  # of 8 users: 0, 2 and 3 bits
    assert novelty(
        np.array([[0, 1, 2], [1, -1, 0]], np.int32), popularity, users=8, k=2
    ) == pytest.approx(4 / 3)


def test_a_third_of_the_ratings_each_is_head_torso_and_tail() -> None:
    popularity = np.array(
        [1, 5, 2, 1, 1, 1, 1, 0], np.float32
    )  # 5 of 12 are the most rated movie's alone
    assert [MOVIE_SEGMENTS[n] for n in movie_segments(popularity)] == [
        "torso",
        "head",
        "torso",
        "tail",
        "tail",
        "tail",
        "tail",
        "tail",
    ]


def test_the_segments_of_users_make_up_the_whole_and_those_of_movies_share_out_the_relevant() -> (
    None
):
    data = interactions_of_tastes()
    held = temporal_holdout(data)
    twin = trained(data.select(~held))
    found = evaluate(twin, data.select(held)).metrics
    users = [found[f"{part}/users"] for part in USER_SEGMENTS]
    parts = [found.get(f"{part}/ndcg_at_10", 0.0) for part in USER_SEGMENTS]
    assert sum(users) == found["users"]
    assert np.dot(users, parts) / sum(users) == pytest.approx(found["ndcg_at_10"])
    only_head = data.select(held)
    segment = dict(zip(twin.item_ids.tolist(), movie_segments(twin.popularity), strict=True))
    heads = np.array(
        [segment.get(only_head.movie_ids[movie].encode()) == 0 for movie in only_head.movies]
    )
    alone = evaluate(twin, only_head.select(heads)).metrics
    assert {name: alone[name] for name in ("users", "ndcg_at_10", "recall_at_20")} == {
        name: found[f"head/{name}"] for name in ("users", "ndcg_at_10", "recall_at_20")
    }


@pytest.mark.parametrize("seed", range(3))
def test_ndcg_and_map_are_implicits(seed: int) -> None:
    random = np.random.default_rng(seed)
    lists = np.array([random.permutation(30)[:10] for _ in range(40)], np.int32)
    relevant = random.random((40, 30)) < 0.15
    relevant[:, 0] = True  # nobody without a relevant movie: all means are over the same users
    hits = np.take_along_axis(relevant, lists, axis=1)
    counts = relevant.sum(axis=1)
    test, empty = (
        sp.csr_matrix(relevant.astype(np.float32)),
        sp.csr_matrix((40, 30), dtype=np.float32),
    )
    model = RankedLists(lists)
    theirs = ranking_metrics_at_k(model, empty, test, K=10, show_progress=False)
    assert ndcg(hits, counts, 10).mean() == pytest.approx(
        ndcg_at_k(model, empty, test, K=10, show_progress=False)
    )
    assert average_precision(hits, counts, 10).mean() == pytest.approx(theirs["map"])
    capped = hits.sum() / np.minimum(counts, 10).sum()  # what implicit calls precision
    assert capped == pytest.approx(theirs["precision"])


def test_an_evaluation_is_what_implicit_finds_on_the_same_lists() -> None:
    data = interactions_of_tastes()
    held = temporal_holdout(data)
    twin = trained(data.select(~held))
    found = evaluate(twin, data.select(held)).metrics
    users = {key.decode(): row for row, key in enumerate(twin.user_ids.tolist())}
    movies = {key.decode(): row for row, key in enumerate(twin.item_ids.tolist())}
    vectors = twin.user_vectors(range(len(twin.user_ids))).astype(np.float64)
    scores = vectors @ twin.item_vectors.T.astype(np.float64)
    test = np.zeros(scores.shape, np.float32)
    for user, movie, stars in zip(
        data.users[held], data.movies[held], data.ratings[held], strict=True
    ):
        if stars >= 4 and data.movie_ids[movie] in movies:
            test[users[data.user_ids[user]], movies[data.movie_ids[movie]]] = 1
    for user in range(len(scores)):
        scores[user, twin.seen(user)] = -np.inf
    lists = np.argsort(-scores, axis=1)[:, :10].astype(np.int32)
    empty = sp.csr_matrix(test.shape, dtype=np.float32)
    theirs = ndcg_at_k(RankedLists(lists), empty, sp.csr_matrix(test), K=10, show_progress=False)
    assert found["ndcg_at_10"] == pytest.approx(theirs)
    assert found["users"] == (test.sum(axis=1) > 0).sum()


def test_the_holdout_is_the_last_fifth_and_leaves_five() -> None:
    users = np.repeat(np.arange(4, dtype=np.int32), [4, 5, 6, 20])
    movies = np.concatenate([np.arange(count, dtype=np.int32) for count in (4, 5, 6, 20)])
    rated_at = np.array([7] * 9 + [3, 9, 9, 1, 2, 4] + [5] * 3 + [0] * 16 + [4], np.int64)
    names = tuple(f"{row:02d}" for row in range(20))
    data = Interactions(names[:4], names, users, movies, np.ones(35, np.float32), rated_at)
    held = temporal_holdout(data)
    assert np.flatnonzero(held).tolist() == [
        11,
        15,
        16,
        17,
        34,
    ]  # of the same moment, the later movie
    assert len(temporal_holdout(data.select(np.zeros(35, bool)))) == 0
