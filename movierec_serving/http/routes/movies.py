"""Movies of the catalogue: one by its id, many by a part of their title."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

from fastapi import FastAPI, Query, Response

from movierec_serving.bundle import PublishedModel
from movierec_serving.bundle.filters import NO_WISH, unlike
from movierec_serving.http.paging import Place, place_of, question, token
from movierec_serving.http.recommender import stamp, today
from movierec_serving.http.replies import problem, reply
from movierec_serving.http.routes.documented import GONE, KEY, PUBLIC, UNKNOWN, MovieInPath
from movierec_serving.http.schemas.answers import Movies, StampedMovie
from movierec_serving.http.schemas.requests import Search
from movierec_serving.model.holder import ModelHolder


def add_movie_routes(app: FastAPI, holder: ModelHolder) -> None:
    @app.get(
        "/movies",
        response_model=Movies,
        responses={**PUBLIC, **GONE},
        dependencies=KEY,
        summary="Movies whose title contains the query, whatever its case, accents and article",
    )
    async def get_movies(search: Annotated[Search, Query()]) -> Response:
        asked = question("/movies", search)
        place = place_of(search.page, asked)
        model = holder.at(place.version) if place else holder.current()
        begin = place.offset if place else search.offset
        rows = list(islice(_matching(model, search), begin, begin + search.n + 1))
        movies = [_movie_info(holder, model, row) for row in rows[: search.n]]
        content: dict[str, Any] = {**stamp(model), "items": movies}
        if len(rows) > search.n:
            content["next_page"] = token(Place(model.version, begin + search.n), asked)
        return reply(content).response()

    @app.get(
        "/movies/{movie_id:id}",
        response_model=StampedMovie,
        responses=UNKNOWN,
        dependencies=KEY,
        summary="One movie",
    )
    async def get_movie(movie_id: MovieInPath) -> Response:
        model = holder.current()
        row = model.catalogue.row(movie_id)
        if row is None:
            return problem(404, "neither model nor catalogue know this movie").response()
        return reply({**stamp(model), **_movie_info(holder, model, row)}).response()


def _matching(model: PublishedModel, search: Search) -> Iterator[int]:
    """The rows of the movies that are meant, the most popular first."""
    rows = model.orders.everything
    if search.wish is not NO_WISH:
        rows = rows[~unlike(model.catalogue, search.wish)[rows]]
    return model.catalogue.titled(rows.tolist(), search.query)


def _movie_info(holder: ModelHolder, model: PublishedModel, row: int) -> dict[str, Any]:
    ratings = model.bundle.popularity
    return {
        **model.card(row),
        "year": model.catalogue.year(row),
        "ratings": int(ratings[row]) if row < len(ratings) else 0,
        "listed": not bool(model.catalogue.closed(today())[row]),
        "blocked": bool((holder.blocked(model) == row).any()),
    }
