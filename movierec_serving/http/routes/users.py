"""What the model knows of a user. Recommendations for one are `recommendations.py`'s."""

from typing import Annotated

from fastapi import FastAPI, Query, Response

from movierec_serving.http.recommender import stamped
from movierec_serving.http.replies import problem
from movierec_serving.http.routes.documented import KEY, OTHER_PART, UNKNOWN, UserInPath
from movierec_serving.http.schemas.answers import History
from movierec_serving.http.schemas.requests import Page
from movierec_serving.model.holder import ModelHolder


def add_user_routes(app: FastAPI, holder: ModelHolder) -> None:
    @app.get(
        "/users/{user_id:id}/history",
        response_model=History,
        responses={**UNKNOWN, **OTHER_PART},
        dependencies=KEY,
        summary="What the model knows a user to have rated",
    )
    async def get_history(user_id: UserInPath, page: Annotated[Page, Query()]) -> Response:
        model = holder.current()
        bundle = model.bundle
        row = model.user_row(user_id)
        if row is None:
            return problem(404, "the model does not know this user").response()
        rated = bundle.rated(row)
        items, stars = bundle.seen_items[rated], bundle.seen_ratings[rated]
        order = (-stars).argsort(kind="stable")[page.offset : page.offset + page.n]
        movies = [
            {**model.card(item), "rating": rating}
            for item, rating in zip(items[order].tolist(), stars[order].tolist(), strict=True)
        ]
        content = {"user_id": user_id, "total": len(items), "items": movies}
        return stamped(model, content).response()
