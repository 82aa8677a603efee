"""Movies that nobody has rated get vectors from what the catalogue says."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from movierec_serving.bundle import Movie, OptionError, PublishedModel, likeness, publish
from movierec_serving.bundle.selection import Slice
from movierec_serving.bundle.stored import Index
from movierec_serving.bundle.unrated import PREPARED
from movierec_serving.events.shown import ShownLog, days_shown, read_shown
from movierec_serving.http.rankings import Rankings
from movierec_serving.http.recommender import Recommender
from movierec_serving.http.schemas.requests import Options
from movierec_serving.model.cache import make_ready
from movierec_serving.model.holder import ModelHolder
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


def test_a_share_of_places_goes_to_new_movies_as_the_lists_id_says(tmp_path: Path) -> None:
    model = published(tmp_path)
    store, log = tmp_path / "models", ShownLog(tmp_path / "shown", 1.0, lambda lost: None)

    def lists(explore: float, log: ShownLog = log, **options: Any) -> list[dict[str, Any]]:
        holder = ModelHolder(store, store / ".serving-1", shown=log, explore=explore)
        holder.pointer.store(1)
        asked = Recommender(holder, Options(**{"n": 10, **options})), model.bundle.user_id(0)
        return [json.loads(asked[0].for_user(asked[1]).body) for _ in range(40)]

    def new(content: dict[str, Any]) -> list[int]:
        items = enumerate(content["items"], 1)
        return [place for place, item in items if item["source"] == "content"]

    nobodys = ShownLog(tmp_path / "nobodys", 0.0, lambda lost: None)
    (plain, *_), (unseen, *_), unkept = lists(0.0), lists(0.5, shown=False), lists(0.5, nobodys)
    assert not new(plain)
    assert not new(unseen)
    assert not any(map(new, unkept))
    explored = lists(0.3)
    (day,) = days_shown(tmp_path / "shown")
    lines = [line for _, ones, torn in read_shown(tmp_path / "shown", day) for line in ones]
    said = {line["recommendation_id"]: line.get("explored") for line in lines}
    assert said[plain["recommendation_id"]] is None
    for content in explored:
        id_ = content["recommendation_id"]
        draw = random.Random(int(id_.split("-")[1], 16)).random
        drawn = np.array([draw() < 0.3 for _ in range(10)])
        places = (np.flatnonzero(drawn)[:3] + 1).tolist()  # there are three new movies
        assert new(content) == places
        assert said[id_] == {"share": 0.3, "places": places}
        for place, (item, usual) in enumerate(
            zip(content["items"], plain["items"], strict=True), start=1
        ):
            assert place in places or item == usual
    assert {len(new(content)) for content in explored} > {1, 2}
    first = next(content for content in explored if new(content))
    item = first["items"][new(first)[0] - 1]
    assert (item["movie_id"], item["because_of_genres"]) == ("fear", ["Horror", "Short"])
