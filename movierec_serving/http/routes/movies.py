"""Movies of the catalogue: one by its id, many by a part of their title."""

from itertools import islice
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Query, Response
from numpy.typing import NDArray

from movierec_serving.bundle import PublishedModel
from movierec_serving.http import schemas
from movierec_serving.http.recommender import stamp
from movierec_serving.http.replies import problem, reply
from movierec_serving.http.routes.documented import KEY, PUBLIC, UNKNOWN, MovieInPath
from movierec_serving.model.holder import ModelHolder


def add_movie_routes(app: FastAPI, holder: ModelHolder) -> None:
    @app.get(
        "/movies",
        response_model=schemas.Movies,
        responses=PUBLIC,
        dependencies=KEY,
        summary="Movies whose title contains the query, whatever its case",
    )
    async def get_movies(search: Annotated[schemas.Search, Query()]) -> Response:
        model = holder.current()
        query, titles = search.query.casefold(), model.searchable
        matching = (row for row in model.bundle.popular_items.tolist() if query in titles[row])
        page = islice(matching, search.offset, search.offset + search.n)
        blocked = holder.blocked(model)
        movies = [_movie_info(model, row, blocked) for row in page]
        return reply({**stamp(model), "items": movies}).response()

    @app.get(
        "/movies/{movie_id:id}",
        response_model=schemas.StampedMovie,
        responses=UNKNOWN,
        dependencies=KEY,
        summary="One movie",
    )
    async def get_movie(movie_id: MovieInPath) -> Response:
        model = holder.current()
        row = model.bundle.item_row(movie_id)
        if row is None:
            return problem(404, "the model does not know this movie").response()
        return reply({**stamp(model), **_movie_info(model, row, holder.blocked(model))}).response()


def _movie_info(model: PublishedModel, row: int, blocked: NDArray[np.int64]) -> dict[str, Any]:
    about = {"ratings": int(model.bundle.popularity[row]), "blocked": bool((blocked == row).any())}
    return {**model.card(row), **about}
