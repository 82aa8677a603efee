"""Movies of few ratings: a published version scores them by what the catalogue says, too."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from movierec_serving.bundle import TOP_N, Bundle, BundleError, Movie, PublishedModel, publish
from movierec_serving.bundle.array_files import write_array
from movierec_serving.bundle.documents import seal, unseal
from movierec_serving.bundle.publication import PUBLICATION
from movierec_serving.bundle.selection import Slice, for_users, for_vectors
from movierec_serving.http.recommender import Recommender
from movierec_serving.http.schemas.requests import Options
from movierec_serving.model.holder import ModelHolder
from tests.support import sample_models as models

THIN, HORROR, LOVE = 59, np.float32([2, 0, 1]), np.float32([0, 2, 1])


def published(
    root: Path, family: str = "als", genres: bool = True, ratings: float = 200.0
) -> PublishedModel:
    """60 movies with the vector of their genre; of the last one, horror, one rating says little.
    The second user likes horror and has rated a few.
    """
    content = models.content_of(family, users=12, items=60)
    if family == "als":
        content = models.content(users=12, items=60, factors=3)
        vectors = np.array([HORROR if row % 2 else LOVE for row in range(60)], np.float32)
        popularity, vectors[THIN] = np.full(60, ratings), (-0.01, 0, 0)
        popularity[THIN] = 1
        users = np.tile(np.float32([1, 0, 0]), (12, 1))
        own = {"user_factors": users, "item_factors": vectors}
        content = replace(content, own=own, popularity=popularity)
    named = [("Horror",) if row % 2 else ("Romance",) for row in range(60)]
    said = named if genres else [()] * 60
    ids = content.item_ids
    movies = {id_: Movie(id_, None, its) for id_, its in zip(ids, said, strict=True)}
    models.write(root / "bundle", content, family=family)
    publish(root / "bundle", root / "models", 1, movies)
    return PublishedModel.open(root / "models", 1, verify=True)


def test_a_movie_of_one_rating_comes_before_those_of_other_genres(tmp_path: Path) -> None:
    model = published(tmp_path)
    places = [item for item, _ in for_users(model, [0], Slice(60))[0]]
    romances = [place for place, item in enumerate(places) if not item % 2]
    assert places.index(THIN) < min(romances)
    as_trained = np.array(model.bundle.family.item_vectors)
    np.testing.assert_array_equal(as_trained[THIN], np.float32([-0.01, 0, 0]))


def test_lists_pages_and_folded_in_users_are_scored_by_the_same_vectors(tmp_path: Path) -> None:
    model = published(tmp_path)
    whole = for_vectors(model, model.bundle.user_vectors([0]), [model.bundle.seen(0)], Slice(60))[0]
    assert for_users(model, [0], Slice(60)) == [whole]
    trained = Bundle.open(tmp_path / "bundle")
    lists = model.ranker_of(trained).of_users([0], TOP_N)  # how answers are held against a bundle
    np.testing.assert_array_equal(lists[0][0], model.top_items[0])


def test_a_list_says_which_movies_it_has_because_of_their_genres(tmp_path: Path) -> None:
    model = published(tmp_path)
    holder = ModelHolder(tmp_path / "models", tmp_path / "models" / ".serving-1")
    holder.pointer.store(1)
    user = next(row for row in range(1, 12) if THIN not in model.bundle.seen(row))
    options = Options(n=60, explain=True)
    body = Recommender(holder, options).for_user(model.bundle.user_id(user)).body
    because = {
        item["movie_id"]: item.get("because_of_genres") for item in json.loads(body)["items"]
    }
    assert because.pop(model.bundle.item_id(THIN)) == ["Horror"]
    assert set(because.values()) == {None}


def test_on_a_small_site_content_counts_less(tmp_path: Path) -> None:
    """It is learnt from few ratings there, and nearly all movies have few."""
    added = []
    for ratings in (3.0, 200.0):
        bundle = published(tmp_path / str(ratings), ratings=ratings).bundle
        more = bundle.item_vectors[THIN] - bundle.family.item_vectors[THIN]
        added.append(float(np.linalg.norm(more)))
    assert added[0] < added[1] / 4


@pytest.mark.parametrize(("family", "genres"), [("ease", True), ("als", False)])
def test_where_nothing_can_be_said_movies_are_scored_as_trained(
    tmp_path: Path, family: str, genres: bool
) -> None:
    bundle = published(tmp_path, family, genres).bundle
    assert bundle.blended is None
    assert not (tmp_path / "models" / "1" / "blended.npy").exists()


def test_a_version_of_the_format_before_is_served_as_it_was(tmp_path: Path) -> None:
    published(tmp_path)
    path = tmp_path / "models" / "1"
    document = unseal((path / PUBLICATION).read_bytes(), "", (3,))
    del document["files"]["blended.npy"]
    (path / PUBLICATION).write_text(seal({**document, "format_version": 2}))
    old = PublishedModel.open(tmp_path / "models", 1, verify=True)
    np.testing.assert_array_equal(old.bundle.item_vectors, old.bundle.family.item_vectors)
    publish(tmp_path / "bundle", tmp_path / "models", 1, {})
    assert PublishedModel.open(tmp_path / "models", 1).bundle.blended is None


@pytest.mark.parametrize(
    ("vectors", "cause"),
    [
        (np.full((60, 3), np.nan, np.float32), "blended: not finite"),
        (np.zeros((60, 2), np.float32), r"blended is <f4 \(60, 2\), must be \(60, 3\)"),
    ],
)
def test_vectors_that_would_break_a_request_are_refused(
    tmp_path: Path, vectors: np.ndarray, cause: str
) -> None:
    published(tmp_path)
    path = tmp_path / "models" / "1"
    document = unseal((path / PUBLICATION).read_bytes(), "", (3,))
    (path / "blended.npy").unlink()
    entry = write_array(path, "blended.npy", vectors)
    document["files"]["blended.npy"] = entry.model_dump(mode="json")
    (path / PUBLICATION).write_text(seal(document))
    with pytest.raises(BundleError, match=cause):
        PublishedModel.open(tmp_path / "models", 1, verify=True)
