"""Lists of movies: a user's recommendations, similar movies, popular ones.

`POST /recommend` is documented here; `runtime/` answers it, or asks LitServe's workers to.
"""

from typing import Annotated, Any

from fastapi import FastAPI, Query, Response
from fastapi.routing import APIRoute

from movierec_serving.http import schemas
from movierec_serving.http.recommender import Recommender
from movierec_serving.http.replies import problem
from movierec_serving.http.routes.documented import (
    KEY,
    LIST,
    PUBLIC,
    UNKNOWN,
    MovieInPath,
    UserInPath,
    problems,
)
from movierec_serving.model.holder import ModelHolder

PATH = "/recommend/{user_id:id}"


def add_recommendation_routes(app: FastAPI, holder: ModelHolder) -> APIRoute:
    """Returns the route of a user's list, for whoever answers in its place."""

    @app.get(
        PATH,
        response_model=schemas.Recommendations,
        responses={**PUBLIC, **LIST},
        dependencies=KEY,
        summary="A user's best unseen movies; popular ones for a user the model does not know",
    )
    async def get_recommendations(
        user_id: UserInPath, options: Annotated[schemas.Options, Query()]
    ) -> Response:
        return Recommender(holder, options).for_user(user_id).response()

    @app.get(
        "/similar/{movie_id:id}",
        response_model=schemas.Recommendations,
        responses={**UNKNOWN, **LIST},
        dependencies=KEY,
        summary="Movies that the same people like",
    )
    async def get_similar(
        movie_id: MovieInPath, options: Annotated[schemas.Selection, Query()]
    ) -> Response:
        recommender = Recommender(holder, options)
        row = recommender.model.bundle.item_row(movie_id)
        if row is None:
            return problem(404, "the model does not know this movie").response()
        return recommender.similar(row).response()

    @app.get(
        "/popular",
        response_model=schemas.Recommendations,
        responses={**PUBLIC, **LIST},
        dependencies=KEY,
        summary="The most rated movies",
    )
    async def get_popular(options: Annotated[schemas.Selection, Query()]) -> Response:
        return Recommender(holder, options).popular().response()

    return next(r for r in app.routes if isinstance(r, APIRoute) and r.path == PATH)


def add_recommendations_by_workers(
    app: FastAPI, deadline: float, route_class: type[APIRoute]
) -> None:
    """Document `POST /recommend`; `route_class` hands the body to whoever answers it.

    Args:
        deadline: seconds within which there is an answer, a 504 at the latest.
    """

    async def post_recommendations(request: schemas.RecommendRequest) -> None:
        """Up to 1,000 users in one request are one batch: many times cheaper than as many
        requests.
        """

    errors: dict[str, Any] = {
        "_413": "The body is too large",
        "_504": f"No answer within {deadline:g} s",
    }
    app.router.add_api_route(
        "/recommend",
        post_recommendations,
        methods=["POST"],
        dependencies=KEY,
        response_model=schemas.Recommendations | schemas.BatchRecommendations,
        responses={**PUBLIC, **problems(**errors), **LIST},
        summary="Recommendations for one user, for up to 1,000 users, or for somebody unknown by "
        "what they rated",
        route_class_override=route_class,
    )
