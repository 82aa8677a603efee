"""Lists of movies: a user's recommendations, similar movies, popular ones.

`POST /recommend` is documented here; `runtime/` answers it, or asks LitServe's workers to.
"""

from typing import Annotated

from fastapi import FastAPI, Query, Response
from fastapi.routing import APIRoute

from movierec_serving.http.recommender import Recommender
from movierec_serving.http.replies import problem
from movierec_serving.http.routes.documented import (
    GONE,
    KEY,
    LIST,
    PUBLIC,
    UNKNOWN,
    MovieInPath,
    UserInPath,
    problems,
)
from movierec_serving.http.schemas.answers import BatchRecommendations, Recommendations
from movierec_serving.http.schemas.requests import (
    Latest,
    Listed,
    PagedOptions,
    Popular,
    RecommendRequest,
)
from movierec_serving.model.holder import ModelHolder

PATH = "/recommend/{user_id:id}"


def add_recommendation_routes(app: FastAPI, holder: ModelHolder) -> APIRoute:
    """Returns the route of a user's list, for whoever answers in its place."""

    @app.get(
        PATH,
        response_model=Recommendations,
        responses={**PUBLIC, **LIST, **GONE},
        dependencies=KEY,
        summary="A user's best unseen movies; popular ones for a user the model does not know",
    )
    async def get_recommendations(
        user_id: UserInPath, options: Annotated[PagedOptions, Query()]
    ) -> Response:
        return (
            Recommender.of_page(holder, f"/recommend/{user_id}", options)
            .for_user(user_id)
            .response()
        )

    @app.get(
        "/similar/{movie_id:id}",
        response_model=Recommendations,
        responses={**UNKNOWN, **LIST, **GONE},
        dependencies=KEY,
        summary="Movies that the same people like; by its content for one that nobody has rated",
    )
    async def get_similar(movie_id: MovieInPath, options: Annotated[Listed, Query()]) -> Response:
        recommender = Recommender.of_page(holder, f"/similar/{movie_id}", options)
        row = recommender.model.catalogue.row(movie_id)
        if row is None:
            return problem(404, "neither model nor catalogue know this movie").response()
        return recommender.without_seen(options.user_id).similar(row).response()

    @app.get(
        "/popular",
        response_model=Recommendations,
        responses={**PUBLIC, **LIST, **GONE},
        dependencies=KEY,
        summary="The movies that most people liked, lately or ever",
    )
    async def get_popular(options: Annotated[Popular, Query()]) -> Response:
        recommender = Recommender.of_page(holder, "/popular", options, last=None)
        return recommender.without_seen(options.user_id).popular(options.window).response()

    @app.get(
        "/latest",
        response_model=Recommendations,
        responses={**PUBLIC, **LIST, **GONE},
        dependencies=KEY,
        summary="The movies that came last, also those that nobody has rated yet",
    )
    async def get_latest(options: Annotated[Latest, Query()]) -> Response:
        recommender = Recommender.of_page(holder, "/latest", options, last=None)
        recommender = recommender.without_seen(options.user_id)
        if options.by == "taste" and options.user_id is not None:
            return recommender.unrated_for(options.user_id).response()
        return recommender.latest(options.by).response()

    return next(r for r in app.routes if isinstance(r, APIRoute) and r.path == PATH)


def add_recommendations_by_workers(
    app: FastAPI, deadline: float, route_class: type[APIRoute]
) -> None:
    """Document `POST /recommend`; `route_class` hands the body to whoever answers it.

    Args:
        deadline: seconds within which there is an answer, a 504 at the latest.
    """

    async def post_recommendations(request: RecommendRequest) -> None:
        """Up to 1,000 users in one request are one batch: many times cheaper than as many
        requests.
        """

    errors = {413: "The body is too large", 504: f"No answer within {deadline:g} s"}
    app.router.add_api_route(
        "/recommend",
        post_recommendations,
        methods=["POST"],
        dependencies=KEY,
        response_model=Recommendations | BatchRecommendations,
        responses={**PUBLIC, **problems(errors), **LIST},
        summary="Recommendations for one user, for up to 1,000 users, or for somebody unknown by "
        "what they rated",
        route_class_override=route_class,
    )
