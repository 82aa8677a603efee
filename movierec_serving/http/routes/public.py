"""The routes that answer about movies and users, and how errors look."""

from itertools import islice
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from starlette.convertors import StringConvertor, register_url_convertor

from movierec_serving.bundle import PublishedModel
from movierec_serving.errors import ModelUnavailableError, UnknownGenreError
from movierec_serving.http import schemas
from movierec_serving.http.answers import Answer, Recommender, answer, invalid, problem, stamp
from movierec_serving.http.lookup import KEY_HEADER
from movierec_serving.model.holder import ModelHolder

Documented = dict[int | str, dict[str, Any]]


def problems(**causes: str) -> Documented:
    """Error answers, as `_404="why"`."""
    return {
        int(code[1:]): {"model": schemas.Problem, "description": cause}
        for code, cause in causes.items()
    }


NO_MODEL = problems(_503="No model, or no place; see Retry-After")
INVALID: Documented = {
    400: {"description": "No HTTP, or a URL above 64 KB", "content": {"text/plain": {}}},
    422: {"model": schemas.InvalidRequest, "description": "Names the field that is wrong"},
}
BAD_BODY = problems(_400="The body cannot be read", _413="The body is too large")
PUBLIC: Documented = {**problems(_401="Keys are set, and none was sent"), **INVALID, **NO_MODEL}
UNKNOWN: Documented = {**PUBLIC, **problems(_404="The model does not know it")}
STAMPED = {"X-Model-Version": {"schema": {"type": "integer"}, "description": "as in the body"}}
LIST: Documented = {200: {"headers": STAMPED}}
# For the document: the middleware refuses, before anything is read.
_key = APIKeyHeader(name=KEY_HEADER, description="where MOVIEREC_API_KEYS is set", auto_error=False)
KEY = [Security(_key)]

User = Annotated[schemas.UserId, Path()]
Movie = Annotated[schemas.MovieId, Path()]


class IdConvertor(StringConvertor):
    """The rest of the path, slashes and line ends included: an id is any text."""

    regex = "(?s:.*)"


def add_routes(app: FastAPI, holder: ModelHolder) -> None:
    register_url_convertor("id", IdConvertor())

    @app.get(
        "/recommend/{user_id:id}",
        response_model=schemas.Recommendations,
        responses={**PUBLIC, **LIST},
        dependencies=KEY,
        summary="A user's best unseen movies; popular ones for a user the model does not know",
    )
    async def get_recommendations(
        user_id: User, options: Annotated[schemas.Options, Query()]
    ) -> Response:
        return Recommender(holder, options).one(user_id).response()

    @app.get(
        "/similar/{movie_id:id}",
        response_model=schemas.Recommendations,
        responses={**UNKNOWN, **LIST},
        dependencies=KEY,
        summary="Movies that the same people like",
    )
    async def get_similar(
        movie_id: Movie, options: Annotated[schemas.Selection, Query()]
    ) -> Response:
        recommender = Recommender(holder, options)
        row = recommender.model.bundle.item_row(movie_id)
        return (_unknown("movie") if row is None else recommender.similar(row)).response()

    @app.get(
        "/popular",
        response_model=schemas.Recommendations,
        responses={**PUBLIC, **LIST},
        dependencies=KEY,
        summary="The most rated movies",
    )
    async def get_popular(options: Annotated[schemas.Selection, Query()]) -> Response:
        return Recommender(holder, options).popular().response()

    @app.get(
        "/users/{user_id:id}/history",
        response_model=schemas.History,
        responses=UNKNOWN,
        dependencies=KEY,
        summary="What the model knows a user to have rated",
    )
    async def get_history(user_id: User, page: Annotated[schemas.Page, Query()]) -> Response:
        recommender = Recommender(holder, schemas.Selection())
        bundle = recommender.model.bundle
        if (row := bundle.user_row(user_id)) is None:
            return _unknown("user").response()
        part = slice(*bundle.seen_indptr[row : row + 2].tolist())
        items, stars = bundle.seen_items[part], bundle.seen_ratings[part]
        order = (-stars).argsort(kind="stable")[page.offset : page.offset + page.n]
        rated = [
            {**recommender.model.card(item), "rating": rating}
            for item, rating in zip(items[order].tolist(), stars[order].tolist(), strict=True)
        ]
        return recommender.answer(
            {"user_id": user_id, "total": len(items), "items": rated}
        ).response()

    @app.get(
        "/movies",
        response_model=schemas.Movies,
        responses=PUBLIC,
        dependencies=KEY,
        summary="Movies whose title contains the query, whatever its case",
    )
    async def get_movies(search: Annotated[schemas.Search, Query()]) -> Response:
        model = holder.current()
        wanted, titles = search.query.casefold(), model.searchable
        found = (row for row in model.bundle.popular_items.tolist() if wanted in titles[row])
        rows = list(islice(found, search.offset, search.offset + search.n))
        blocked = holder.blocked(model)
        return answer(
            {**stamp(model), "items": [_movie(model, row, blocked) for row in rows]}
        ).response()

    @app.get(
        "/movies/{movie_id:id}",
        response_model=schemas.OneMovie,
        responses=UNKNOWN,
        dependencies=KEY,
        summary="One movie",
    )
    async def get_movie(movie_id: Movie) -> Response:
        model = holder.current()
        if (row := model.bundle.item_row(movie_id)) is None:
            return _unknown("movie").response()
        return answer({**stamp(model), **_movie(model, row, holder.blocked(model))}).response()


def add_error_answers(app: FastAPI) -> None:
    @app.exception_handler(ModelUnavailableError)
    async def no_model(_: Request, error: Exception) -> Response:
        return problem(503, str(error)).response()

    @app.exception_handler(UnknownGenreError)
    async def no_genre(_: Request, error: Exception) -> Response:
        return unknown_genre(error, "query").response()

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return invalid(error.errors()).response()

    @app.exception_handler(Exception)
    async def internal(_: Request, error: Exception) -> Response:
        return problem(500, "internal error").response()


def unknown_genre(error: Exception, where: str) -> Answer:
    return invalid([{"loc": ("genre",), "msg": str(error), "type": "value_error"}], where)


def _movie(model: PublishedModel, row: int, blocked: Any) -> dict[str, Any]:
    about = {"ratings": int(model.bundle.popularity[row]), "blocked": bool((blocked == row).any())}
    return {**model.card(row), **about}


def _unknown(what: str) -> Answer:
    return problem(404, f"the model does not know this {what}")
