"""What every family must do: answer as the kernel ranks, fold in, explain, be written and read."""

from pathlib import Path

import numpy as np
import pytest

from movierec_serving.bundle import (
    FAMILIES,
    TOP_N,
    Bundle,
    BundleContent,
    BundleError,
    Evidence,
    PublishedModel,
    likeness,
    publish,
    recommend,
    selection,
)
from movierec_serving.bundle.manifest import MANIFEST
from tests.support import sample_models as models

PARAMETERS = {"regularization": 12.0, "alpha": 2.0, "weighting": "power:2"}


@pytest.fixture(params=FAMILIES)
def content(request: pytest.FixtureRequest) -> BundleContent:
    return models.content_of(request.param, users=30, items=150)


@pytest.fixture
def bundle(content: BundleContent, tmp_path: Path) -> Bundle:
    models.write(tmp_path / "b", content, family=content.family, parameters=PARAMETERS)
    return Bundle.open(tmp_path / "b", verify=True)


def test_is_written_and_opened_as_what_it_is(content: BundleContent, bundle: Bundle) -> None:
    assert bundle.manifest.family == bundle.family.name == content.family
    assert set(bundle.manifest.files) == {f"{name}.npy" for name in content.arrays}
    in_memory = content.model(PARAMETERS)
    for name, array in in_memory.family.arrays.items():
        np.testing.assert_array_equal(bundle.family.arrays[name], array)


def test_the_kernel_ranks_by_the_inner_product(bundle: Bundle) -> None:
    users = np.arange(len(bundle.user_ids))
    exact = bundle.user_vectors(users).astype(np.float64) @ bundle.item_vectors.T.astype(np.float64)
    items, scores = recommend(bundle, users, 20)
    for user in users.tolist():
        seen = set(bundle.seen(user).tolist())
        unseen = [row for row in range(len(bundle.item_ids)) if row not in seen]
        best = sorted(unseen, key=lambda row: (-exact[user, row], row))[:20]
        assert items[user][items[user] >= 0].tolist() == best
        np.testing.assert_allclose(scores[user][: len(best)], exact[user, best], rtol=1e-6)


def test_many_users_get_what_each_gets_alone(bundle: Bundle) -> None:
    users = np.arange(2100) % len(bundle.user_ids)  # more than are made together
    items, _ = recommend(bundle, users, 5)
    for place in (0, 7, 1023, 1024, 2099):
        alone, _ = recommend(bundle, users[[place]], 5)
        assert items[place].tolist() == alone[0].tolist()


def test_what_is_published_is_what_the_kernel_says(content: BundleContent, tmp_path: Path) -> None:
    models.write(tmp_path / "b", content, family=content.family, parameters=PARAMETERS)
    publish(tmp_path / "b", tmp_path / "models", 1, {})
    model = PublishedModel.open(tmp_path / "models", 1, verify=True)
    bundle = model.bundle
    ids = np.arange(len(bundle.user_ids))
    assert np.array_equal(model.top_items, recommend(bundle, ids, TOP_N)[0])
    vectors, seen = bundle.user_vectors([3]), [bundle.seen(3)]
    (by_kernel,) = selection.for_vectors(model, vectors, seen, selection.Slice(10, 90))
    assert selection.for_users(model, [3], selection.Slice(10, 90)) == [by_kernel]
    similar = likeness.similar(model, 7, selection.Slice(10))
    assert 1 <= len(similar) <= 10
    assert 7 not in {row for row, _ in similar}


def test_stars_weigh_as_in_training(bundle: Bundle) -> None:
    evidence = Evidence.of_ratings(bundle, {3: 5.0, 70: 2.5})
    scale = PARAMETERS["alpha"] if "alpha" in NEEDED[bundle.family.name] else 1.0
    np.testing.assert_allclose(evidence.weights, scale * np.array([1.0, 0.25]))
    assert evidence.rows.tolist() == [3, 70]


def test_contributions_sum_to_the_score(bundle: Bundle) -> None:
    evidence = Evidence.of_ratings(bundle, {3: 5.0, 80: 1.0, 120: 3.5})
    items = np.array([5, 9, 40])
    added = bundle.family.contributions(evidence.rows, evidence.weights, items)
    scores = bundle.item_vectors[items] @ evidence.vector()
    np.testing.assert_allclose(added.sum(axis=0), scores, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.abs(evidence.shares(items)).sum(axis=0), 1.0)


def test_nothing_rated_is_a_vector_without_any_score(bundle: Bundle) -> None:
    none = Evidence(bundle, np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_))
    assert not none.vector().any()
    assert none.shares(np.array([1, 2])).shape == (0, 2)


OF_ALS = ("alpha", "regularization")
NEEDED = {"als": OF_ALS, "ease": (), "spark_als": OF_ALS}


def test_a_parameter_that_answers_need_is_named_where_it_is_missing(
    content: BundleContent,
) -> None:
    for missing in NEEDED[content.family]:
        model = content.model({name: PARAMETERS[name] for name in PARAMETERS if name != missing})
        with pytest.raises(BundleError, match=f"{missing} must be above 0"):
            Evidence.of_ratings(model, {0: 5.0}).vector()


def test_a_value_that_is_no_number_is_refused(content: BundleContent, tmp_path: Path) -> None:
    for name in FAMILIES[content.family].layout:
        broken = np.array(content.own[name])
        broken[1, 1] = np.nan
        own = {**content.own, name: broken}
        with pytest.raises(BundleError, match=f"{name}: not finite"):
            models.write(
                tmp_path / "b",
                models.content_of(content.family, users=30, items=150, own=own),
                family=content.family,
            )


def test_a_family_that_is_not_known_is_named(tmp_path: Path) -> None:
    from movierec_serving.bundle.documents import seal, unseal

    models.write(tmp_path / "b")
    path = tmp_path / "b" / MANIFEST
    document = unseal(path.read_text(), "", (2,))
    path.write_text(seal({**document, "family": "two-towers"}))
    with pytest.raises(BundleError, match=r"manifest.json: family: .*'two-towers' is none of als"):
        Bundle.open(tmp_path / "b")


def test_a_manifest_of_the_first_format_is_als(tmp_path: Path) -> None:
    from movierec_serving.bundle.documents import seal, unseal

    models.write(tmp_path / "b")
    path = tmp_path / "b" / MANIFEST
    document = unseal(path.read_text(), "", (2,))
    del document["family"]
    path.write_text(seal({**document, "format_version": 1}))
    assert Bundle.open(tmp_path / "b", verify=True).family.name == "als"
    path.write_text(seal(document))  # of the newest format it must be said
    with pytest.raises(BundleError, match="family: Field required"):
        Bundle.open(tmp_path / "b")
    path.write_text(seal({**document, "format_version": 1, "family": "ease"}))
    with pytest.raises(BundleError, match="format_version"):
        Bundle.open(tmp_path / "b")
