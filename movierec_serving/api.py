"""The routes that answer about movies and users, and how errors look."""

from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.convertors import StringConvertor, register_url_convertor

from movierec_serving import schemas
from movierec_serving.answers import Answer, Recommender, Wish, answer, invalid, problem, stamp
from movierec_serving.bundle import PublishedModel, UnknownGenreError
from movierec_serving.holder import ModelHolder, ModelUnavailableError

Documented = dict[int | str, dict[str, Any]]
NO_MODEL: Documented = {
    503: {"model": schemas.Problem, "description": "No model, or no place; see Retry-After"}
}
INVALID: Documented = {422: {"model": schemas.InvalidRequest, "description": "Names the field that is wrong"}}
UNKNOWN: Documented = {404: {"model": schemas.Problem, "description": "The model does not know it"}}
BAD_BODY: Documented = {
    400: {"model": schemas.Problem, "description": "The body cannot be read"},
    413: {"model": schemas.Problem, "description": "The body is too large"},
}
RECOMMEND: Documented = {
    200: {"headers": {"X-Model-Version": {"schema": {"type": "integer"}, "description": "as in the body"}}}
}

User = Annotated[schemas.UserId, Path()]
Movie = Annotated[schemas.MovieId, Path()]
Count = Annotated[schemas.Count, Query()]
Offset = Annotated[schemas.Offset, Query()]
Genres = Annotated[schemas.Genres, Query()]
Exclude = Annotated[schemas.Exclude, Query()]
Explain = Annotated[schemas.Explain, Query()]
# As a default and not a default_factory, whose signature pydantic would inspect at every request.
ANY: list[str] = []


class IdConvertor(StringConvertor):
    """The rest of the path, slashes and line ends included: an id is any text."""

    regex = "(?s:.*)"


def add_routes(app: FastAPI, holder: ModelHolder) -> None:
    register_url_convertor("id", IdConvertor())

    @app.get(
        "/recommend/{user_id:id}",
        response_model=schemas.Recommendations,
        responses={**RECOMMEND, **INVALID, **NO_MODEL},
        summary="A user's best unseen movies; popular ones for a user the model does not know",
    )
    async def get_recommendations(
        user_id: User,
        n: Count = 10,
        offset: Offset = 0,
        genre: Genres = ANY,
        exclude: Exclude = ANY,
        explain: Explain = False,
    ) -> Response:
        return Recommender(holder, Wish(n, offset, genre, exclude, explain)).user(user_id).response()

    @app.get(
        "/similar/{movie_id:id}",
        response_model=schemas.Recommendations,
        response_model_exclude_none=True,
        responses={**RECOMMEND, **UNKNOWN, **INVALID, **NO_MODEL},
        summary="Movies that the same people like",
    )
    async def get_similar(
        movie_id: Movie, n: Count = 10, offset: Offset = 0, genre: Genres = ANY, exclude: Exclude = ANY
    ) -> Response:
        recommender = Recommender(holder, Wish(n, offset, genre, exclude))
        row = recommender.model.bundle.item_row(movie_id)
        return (_unknown("movie") if row is None else recommender.similar(row)).response()

    @app.get(
        "/popular",
        response_model=schemas.Recommendations,
        responses={**RECOMMEND, **INVALID, **NO_MODEL},
        summary="The most rated movies",
    )
    async def get_popular(
        n: Count = 10, offset: Offset = 0, genre: Genres = ANY, exclude: Exclude = ANY
    ) -> Response:
        return Recommender(holder, Wish(n, offset, genre, exclude)).popular().response()

    @app.get(
        "/users/{user_id:id}/history",
        response_model=schemas.History,
        responses={**UNKNOWN, **INVALID, **NO_MODEL},
        summary="What the model knows a user to have rated",
    )
    async def get_history(user_id: User, n: Count = 10, offset: Offset = 0) -> Response:
        recommender = Recommender(holder, Wish())
        model = recommender.model
        if (row := model.bundle.user_row(user_id)) is None:
            return _unknown("user").response()
        part = slice(*model.bundle.seen_indptr[row : row + 2].tolist())
        items, stars = model.bundle.seen_items[part], model.bundle.seen_ratings[part]
        order = (-stars).argsort(kind="stable")[offset : offset + n]
        rated = [
            {**model.card(item), "rating": rating}
            for item, rating in zip(items[order].tolist(), stars[order].tolist(), strict=True)
        ]
        return recommender.answer({"user_id": user_id, "total": len(items), "items": rated}).response()

    @app.get(
        "/movies",
        response_model=schemas.Movies,
        responses={**INVALID, **NO_MODEL},
        summary="Movies whose title contains the query, whatever its case",
    )
    async def get_movies(
        query: Annotated[
            str, Query(max_length=200, description="part of a title", examples=["star wars"])
        ] = "",
        n: Count = 10,
        offset: Offset = 0,
    ) -> Response:
        model = holder.current()
        wanted, titles, found = query.casefold(), model.searchable, []
        for row in model.bundle.popular_items.tolist():
            if wanted in titles[row]:
                found.append(row)
                if len(found) == offset + n:
                    break
        blocked = holder.blocked(model)
        return answer(
            {**stamp(model), "items": [_movie(model, row, blocked) for row in found[offset:]]}
        ).response()

    @app.get(
        "/movies/{movie_id:id}",
        response_model=schemas.OneMovie,
        responses={**UNKNOWN, **INVALID, **NO_MODEL},
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
        return invalid(("query", "genre"), str(error)).response()

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: Exception) -> Response:
        """Field and reason, without the input: it may be what JSON cannot carry back, as NaN is."""
        assert isinstance(error, RequestValidationError)
        fields = [
            {
                "loc": [part if isinstance(part, int) else _printable(part) for part in item["loc"]],
                "msg": _printable(item["msg"]),
                "type": item["type"],
            }
            for item in error.errors()
        ]
        return answer({"detail": fields}, 422).response()

    @app.exception_handler(Exception)
    async def internal(_: Request, error: Exception) -> Response:
        return problem(500, "internal error").response()


def _movie(model: PublishedModel, row: int, blocked: Any) -> dict[str, Any]:
    return {
        **model.card(row),
        "ratings": int(model.bundle.popularity[row]),
        "blocked": bool((blocked == row).any()),
    }


def _unknown(what: str) -> Answer:
    return problem(404, f"the model does not know this {what}")


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
