"""Movies that nobody has rated get vectors from what the catalogue says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from movierec_serving.bundle import Movie, OptionError, PublishedModel, likeness, publish
from movierec_serving.bundle.selection import Slice
from movierec_serving.bundle.stored import Index
from movierec_serving.bundle.unrated import PREPARED
from movierec_serving.http.rankings import Rankings
from movierec_serving.model.cache import make_ready
from tests.support import sample_models as models

HORROR, LOVE = np.float32([2, 0, 1]), np.float32([0, 2, 1])


def published(store: Path, family: str = "als") -> PublishedModel:
    """60 movies of 1980 with the vector of their genre, the last one rated once with nonsense; the
    first user likes horror.
    """
    content = models.content(users=12, items=60, factors=3)
    vectors = np.array([HORROR if row % 2 else LOVE for row in range(60)], np.float32)
    popularity, vectors[59] = np.full(60, 50.0), (-90, 90, 0)
    popularity[59] = 0.1  # as far as it is to be trusted
    users = np.tile(np.float32([0, 1, 0]), (12, 1))
    users[0] = (1, 0, 0)
    own = {"user_factors": users, "item_factors": vectors}
    if family == "als":
        content = replace(content, own=own, popularity=popularity)
    else:
        content = models.content_of(family, users=12, items=60)
    movies = {
        id_: Movie(id_, None, ("Horror", "Short") if row % 2 else ("Romance", "Short"), 1980)
        for row, id_ in enumerate(content.item_ids)
    }
    movies |= {
        "fear": Movie("fear", None, ("Short", "Horror"), 1980),
        "kiss": Movie("kiss", None, ("Romance",), 1980),
        "odd": Movie("odd", None, ("Documentary",), None),  # nothing is known of its like
    }
    models.write(store / "bundle", content, family=family)
    publish(store / "bundle", store / "models", 1, movies)
    return PublishedModel.open(store / "models", 1, verify=True)


def test_an_unrated_movie_is_where_the_trusted_movies_of_its_content_are(tmp_path: Path) -> None:
    model = published(tmp_path)
    known = model.catalogue
    fear = known.row("fear")
    assert fear is not None
    ((horror, _),) = likeness.similar(model, fear, Slice(1))
    assert "Horror" in known.genres(horror)
    assert model.unrated is not None
    assert model.unrated.genres_for(fear, model.bundle.item_vectors[horror])[0] == "Horror"
    vector = model.unrated.vectors[fear - model.unrated.first]
    np.testing.assert_allclose(vector, HORROR, atol=0.6)  # the ridge draws it towards nothing


def test_each_user_gets_the_unrated_movies_of_their_taste_first(tmp_path: Path) -> None:
    model = published(tmp_path)
    rankings = Rankings(model, Slice(3), None, explained=False)

    def listed(user: str) -> list[tuple[str, list[str]]]:
        ranking = rankings.unrated_for(user)
        ids = [model.catalogue.movie_id(row) for row, _ in ranking.movies]
        return list(zip(ids, ranking.genres, strict=True))

    assert listed(model.bundle.user_id(0))[0] == ("fear", ["Horror", "Short"])
    movie, genres = listed(model.bundle.user_id(3))[0]
    assert (movie, genres[0]) == ("kiss", "Romance")
    assert listed("nobody")[0][0] == "kiss"  # which nearly everybody likes


def test_a_site_with_fewer_movies_than_factors_has_vectors_for_unrated_ones(tmp_path: Path) -> None:
    content = models.content(items=40, factors=64)
    models.write(tmp_path / "bundle", content)
    movies = {**models.movies(content), "new": Movie("new", None, ("Drama",))}
    publish(tmp_path / "bundle", tmp_path / "models", 1, movies)
    model = PublishedModel.open(tmp_path / "models", 1)
    ranking = Rankings(model, Slice(3), None, explained=False).unrated_for("u1")
    assert [model.catalogue.movie_id(row) for row, _ in ranking.movies] == ["new"]


def test_a_family_without_factors_says_so(tmp_path: Path) -> None:
    model = published(tmp_path, "ease")
    with pytest.raises(OptionError, match="ease knows no taste"):
        Rankings(model, Slice(3), None, explained=False).unrated_for("u1")
    row = model.catalogue.row("fear")
    assert row is not None
    assert likeness.similar(model, row, Slice(3)) == []


def test_a_reload_prepares_the_vectors_before_it_commits(tmp_path: Path) -> None:
    fitted = published(tmp_path).unrated
    store = tmp_path / "models"
    published_files = Index.of(store / "1")
    make_ready(store, 1, None)
    prepared = np.load(store / "1" / PREPARED)
    assert fitted is not None
    np.testing.assert_array_equal(prepared[: len(fitted.vectors)], fitted.vectors)
    np.save(store / "1" / PREPARED, prepared + 1)  # to tell what is read from what is fitted
    opened = PublishedModel.open(store, 1).unrated
    assert opened is not None
    np.testing.assert_array_equal(opened.vectors, fitted.vectors + 1)
    np.testing.assert_array_equal(opened.everybody, fitted.everybody + 1)
    assert Index.of(store / "1") == published_files  # no part of what is published


@pytest.mark.parametrize("content", [b"", b"torn", None])
def test_what_was_not_prepared_well_is_fitted(tmp_path: Path, content: bytes | None) -> None:
    model = published(tmp_path)
    path = tmp_path / "models" / "1" / PREPARED
    np.save(path, np.zeros((2, 2), np.float32))
    if content is not None:
        path.write_bytes(content)
    assert model.unrated is not None
    assert model.unrated.vectors.shape == (len(model.catalogue) - model.unrated.first, 3)
    assert model.unrated.vectors.any()
