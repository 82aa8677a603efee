"""What a list may contain, by properties: whatever is asked, in lists, kernel and fallbacks
alike.
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec_serving.bundle import (
    TOP_N,
    BundleError,
    Evidence,
    OptionError,
    PublishedModel,
    publish,
)
from movierec_serving.bundle.filters import Wish, left_out
from movierec_serving.bundle.likeness import similar
from movierec_serving.bundle.selection import (
    Slice,
    for_users,
    for_vectors,
    most_popular,
)
from tests.support import sample_models as models

USERS, ITEMS = 12, 300
ABSENT = 1  # the row of the movie that the catalogue of the sample models does not have
TODAY = 20_000  # days since 1970


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PublishedModel:
    """300 items, so that lists of 100 end before the items do; the last user has seen all but
    one.
    """
    store = tmp_path_factory.mktemp("selection")
    content = models.content(users=USERS, items=ITEMS, factors=6, seed=4)
    models.write(store / "bundle", content)
    publish(store / "bundle", store / "models", 1, models.movies(content))
    return PublishedModel.open(store / "models", 1)


wishes = st.fixed_dictionaries(
    {
        "n": st.integers(1, TOP_N),
        "offset": st.integers(0, 250),
        "genres": st.lists(st.sampled_from(["Drama", "Comedy", "Animé"]), max_size=2),
        "exclude": st.lists(st.integers(0, ITEMS + 9).map(lambda i: f"m{i}"), max_size=200),
        "blocked": st.lists(st.integers(0, ITEMS - 1), max_size=40),
    }
)


def allowed(model: PublishedModel, wish: dict) -> list[int]:
    rows = range(ITEMS)
    blocked, exclude = set(wish["blocked"]), set(wish["exclude"])
    return [
        row
        for row in rows
        if row not in blocked
        and row != ABSENT
        and model.bundle.item_id(row) not in exclude
        and (not wish["genres"] or set(model.catalogue.genres(row)) & set(wish["genres"]))
    ]


def out_of(model: PublishedModel, wish: dict) -> np.ndarray | None:
    asked = Wish(genre=tuple(wish["genres"]), exclude=tuple(wish["exclude"]))
    return left_out(model.catalogue, asked, np.array(wish["blocked"], int), TODAY)


@settings(deadline=None, max_examples=150)
@given(wishes)
def test_lists_are_brute_force_over_what_is_allowed(model: PublishedModel, wish: dict) -> None:
    n, offset, bundle = wish["n"], wish["offset"], model.bundle
    exact = bundle.user_vectors(range(USERS)).astype(np.float64)
    exact = exact @ bundle.item_vectors.astype(np.float64).T
    found = for_users(model, list(range(USERS)), Slice(n, offset, out_of(model, wish)))
    for user, ranked in enumerate(found):
        candidates = [
            row for row in allowed(model, wish) if row not in set(bundle.seen(user).tolist())
        ]
        expected = sorted(candidates, key=lambda row: (-exact[user, row], row))[offset : offset + n]
        assert [row for row, _ in ranked] == expected
        assert for_users(model, [user], Slice(n, offset, out_of(model, wish))) == [ranked]


@settings(deadline=None, max_examples=150)
@given(wishes, st.integers(0, USERS - 1))
def test_the_list_and_the_kernel_agree(model: PublishedModel, wish: dict, user: int) -> None:
    bundle = model.bundle
    part = Slice(wish["n"], wish["offset"], out_of(model, wish))
    by_kernel = for_vectors(model, bundle.user_vectors([user]), [bundle.seen(user)], part)
    assert for_users(model, [user], part) == by_kernel


@settings(deadline=None, max_examples=100)
@given(wishes, st.integers(0, ITEMS - 1))
def test_fallbacks_and_similar_movies_keep_the_same_rules(
    model: PublishedModel, wish: dict, item: int
) -> None:
    n, offset, out = wish["n"], wish["offset"], out_of(model, wish)
    may = allowed(model, wish)
    popularity = model.bundle.popular_scores
    by_popularity = sorted(may, key=lambda row: (-popularity[row], row))
    assert [row for row, _ in most_popular(model, Slice(n, offset, out))] == by_popularity[
        offset : offset + n
    ]
    close = similar(model, item, Slice(n, offset, out))
    assert {row for row, _ in close} <= set(may) - {item}
    liked = {row for row in may if model.bundle.likes[row] > 0} - {item}
    assert len(close) == max(0, min(n, len(liked) - offset))


def test_similarity_is_the_cosine_damped_by_how_many_liked_the_movie(
    model: PublishedModel,
) -> None:
    items = model.bundle.family.item_vectors.astype(np.float64)
    unit = items / np.linalg.norm(items, axis=1, keepdims=True)
    for row, score in similar(model, 7, Slice(20)):
        likes = float(model.bundle.likes[row])
        damped = (1 + unit[row] @ unit[7]) / 2 * likes / (likes + 2)
        assert score == pytest.approx(damped, abs=1e-5)


def test_an_unknown_genre_is_named_with_those_there_are(model: PublishedModel) -> None:
    with pytest.raises(OptionError, match=r"no genre 'Dram'; there are Animé, Comedy, Drama"):
        left_out(model.catalogue, Wish(genre=("Dram",)), np.empty(0, int), TODAY)


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(
        st.integers(0, ITEMS - 1), st.sampled_from([0.5, 1.0, 2.5, 5.0]), min_size=1, max_size=80
    )
)
def test_fold_in_is_what_implicit_computes(
    model: PublishedModel, ratings: dict[int, float]
) -> None:
    import scipy.sparse as sp
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        reference = AlternatingLeastSquares(factors=6, regularization=12.0, alpha=1.0)
    reference.item_factors = np.array(model.bundle.family.item_vectors)
    weights = np.array([0.6 * stars for stars in ratings.values()], np.float32)
    matrix = sp.csr_matrix((weights, ([0] * len(ratings), list(ratings))), shape=(1, ITEMS))
    matrix.sort_indices()
    expected = reference.recalculate_user(0, matrix)
    found = Evidence.of_ratings(model.bundle, ratings).vector()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_shares_explain_the_whole_score(model: PublishedModel) -> None:
    evidence = Evidence.of_ratings(model.bundle, {3: 5.0, 80: 1.0, 200: 3.5})
    items = np.array([5, 9])
    shares = evidence.shares(items)
    np.testing.assert_allclose(np.abs(shares).sum(axis=0), 1.0)
    scores = model.bundle.family.item_vectors[items] @ evidence.vector()
    assert (np.sign(shares.sum(axis=0)) == np.sign(scores)).all()


def test_a_bundle_without_regularization_cannot_fold_in(tmp_path: Path) -> None:
    models.write(tmp_path / "b", parameters={"alpha": 0.6})
    publish(tmp_path / "b", tmp_path / "models", 1, {})
    evidence = Evidence.of_ratings(PublishedModel.open(tmp_path / "models", 1).bundle, {0: 5.0})
    with pytest.raises(BundleError, match="regularization must be above 0"):
        evidence.vector()
