"""Lists corrected for popularity and calibrated, by literal cases and by what must hold of all."""

from pathlib import Path

import numpy as np
import pytest

from bench.models.lists import divergence
from movierec_serving.bundle import (
    TOP_N,
    Evidence,
    Movie,
    PublishedModel,
    Ranking,
    publish,
    top_items,
)
from movierec_serving.bundle.calibration import calibrated, shares, taste
from movierec_serving.bundle.filters import Wish, left_out
from movierec_serving.bundle.selection import Slice, for_new, for_users
from movierec_serving.model.inspection import check
from tests.support import sample_models as models

GENRES = ("Horror", "Drama", "Comedy")


@pytest.fixture(scope="module", params=[(0.3, 0.0), (0.0, 0.5), (0.2, 0.5)])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """300 movies, so that lists of 100 end before the movies do."""
    home = tmp_path_factory.mktemp("ranking")
    content = models.content(users=12, items=300, factors=6, seed=4)
    models.write(home / "bundle", content)
    movies = {
        id_: Movie(id_, None, (GENRES[row % 3],), 1900 + row % 100)
        for row, id_ in enumerate(content.item_ids)
        if row != 7
    }
    correction, calibration = request.param
    ranking = Ranking(popularity_correction=correction, calibration=calibration)
    publish(home / "bundle", home / "models", 1, movies, ranking)
    return PublishedModel.open(home / "models", 1, verify=True)


def test_who_likes_horror_in_four_of_five_cases_gets_about_as_much() -> None:
    """By score alone the list has what everybody likes."""
    scores = np.linspace(1.0, 0.5, 20)[None]
    genres = np.zeros((20, 2), bool)
    genres[:10, 1] = genres[10:, 0] = True  # dramas first, then horror
    wanted = taste(np.array([[True, False]] * 4 + [[False, True]]), np.ones(5))
    np.testing.assert_allclose(wanted, [0.8, 0.2])
    (order,) = calibrated(scores, shares(genres)[None], wanted[None], 0.5)
    assert genres[order[:10]].sum(axis=0).tolist() == [7, 3]
    (plain,) = calibrated(scores, shares(genres)[None], wanted[None], 0.0)
    assert plain.tolist() == list(range(20))


def test_the_divergence_is_that_of_kullback_and_leibler() -> None:
    p, listed = np.array([0.5, 0.5]), np.array([3.0, 1.0])
    q = 0.99 * np.array([0.75, 0.25]) + 0.01 * p
    assert divergence(p, listed) == pytest.approx(0.5 * np.log(0.5 / q).sum())
    assert divergence(p, 4 * p) == pytest.approx(0.0)
    assert 0 < divergence(np.array([1.0, 0.0]), np.array([0.0, 5.0])) < np.inf


def test_who_has_no_taste_and_what_has_no_genre_change_nothing() -> None:
    scores = np.array([[3.0, 2.0, 1.0, np.nan], [3.0, 2.0, 1.0, 0.5]])
    genres = np.zeros((2, 4, 2))
    genres[0, 2, 0] = 1.0
    tastes = np.array([[1.0, 0.0], [0.0, 0.0]])
    order = calibrated(scores, genres, tastes, 0.9)
    assert order.tolist() == [[2, 0, 1, 3], [0, 1, 2, 3]]


def test_a_disliked_movie_is_no_taste() -> None:
    genres = np.array([[True, False], [False, True]])
    assert taste(genres, np.array([2.0, -5.0])).tolist() == [1.0, 0.0]
    assert taste(genres, np.array([-2.0, -5.0])).tolist() == [0.0, 0.0]


def test_a_score_is_divided_by_a_power_of_the_ratings(model: PublishedModel) -> None:
    bundle, correction = model.bundle, model.ranking.popularity_correction
    exact = bundle.user_vectors(range(12)).astype(np.float64)
    exact = exact @ bundle.item_vectors.astype(np.float64).T
    exact *= (1.0 + bundle.popularity) ** -correction
    for row, ranked in enumerate(for_users(model, list(range(12)), Slice(300))):
        seen = set(bundle.seen(row).tolist()) | {7}
        for item, score in ranked:
            assert score == pytest.approx(exact[row, item], rel=1e-5)
        best = sorted(set(range(300)) - seen, key=lambda item: (-exact[row, item], item))
        assert {item for item, _ in ranked[:TOP_N]} == set(best[:TOP_N])
        assert [item for item, _ in ranked[TOP_N:]] == best[TOP_N:]


def test_a_known_users_list_is_the_same_from_publication_and_request(
    model: PublishedModel,
) -> None:
    """Told by what they rated, as when they are known: also filtered, and on any page."""
    wishes = [Wish(), Wish(genre=("Horror",)), Wish(year_from=1930, exclude=("m3", "m9"))]
    for wish in wishes:
        out = left_out(model.catalogue, wish, np.empty(0, np.int64), 20_000)
        for row in (1, 5):
            known = Evidence.of_user(model.bundle, row)
            whole = for_users(model, [row], Slice(250, 0, out))[0]
            vectors = model.bundle.user_vectors([row])
            told = _WithVector(known, vectors[0])
            assert for_new(model, [told], [told.rows], Slice(250, 0, out))[0] == whole  # type: ignore[list-item]
            for offset in (0, 20, 95, 140):
                assert (
                    for_users(model, [row], Slice(10, offset, out))[0]
                    == whole[offset : offset + 10]
                )
                page = for_new(model, [told], [told.rows], Slice(10, offset, out))[0]  # type: ignore[list-item]
                assert page == whole[offset : offset + 10]


class _WithVector:
    """What a known user rated, with the vector that training gave them."""

    def __init__(self, evidence: Evidence, vector: np.ndarray) -> None:
        self.rows, self.weights, self._vector = evidence.rows, evidence.weights, vector

    def vector(self) -> np.ndarray:
        return self._vector


def test_a_version_with_corrected_lists_stands_its_check(
    model: PublishedModel, tmp_path: Path
) -> None:
    check(model.bundle.path.parent, 1)


def test_the_correction_leaves_the_kernel_exact() -> None:
    rng = np.random.default_rng(0)
    items, users = rng.normal(size=(4000, 3)), rng.normal(size=(40, 3))
    items, users = items.astype(np.float32), users.astype(np.float32)
    damping = ((1 + rng.integers(0, 900, 4000)) ** -0.3).astype(np.float32)
    nothing = [np.empty(0, np.int64)] * 40
    rows, _ = top_items(items, users, nothing, 15, damping=damping)
    exact = users.astype(np.float64) @ items.astype(np.float64).T * damping.astype(np.float64)
    assert rows.tolist() == np.argsort(-exact, axis=1, kind="stable")[:, :15].tolist()
