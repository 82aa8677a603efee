"""The pages for people at `/app`: lists to look at, movies to rate, and how production is.

They ask the same recommender as the routes for programs do, and tell what somebody rated to the
same store of events. What a page says is in `texts.toml`, how it looks in `templates/` and
`../static/app.css`. Nothing here decides which movies a list has.
"""

from fastapi import APIRouter, FastAPI

from movierec_serving.http.middleware.api_keys import Accepted
from movierec_serving.http.pages.acting import add_acts
from movierec_serving.http.pages.entering import add_entrance
from movierec_serving.http.pages.problems import PageRoute
from movierec_serving.http.pages.routes import add_lists
from movierec_serving.http.pages.status import add_status
from movierec_serving.model.holder import ModelHolder
from movierec_serving.settings import ServingSettings


def add_app(app: FastAPI, settings: ServingSettings, holder: ModelHolder) -> None:
    """The pages are not in the document, which is for programs."""
    router = APIRouter(prefix="/app", include_in_schema=False, route_class=PageRoute)
    add_entrance(router, Accepted.of(settings), holder)
    add_lists(router, holder)
    add_acts(router, holder)
    add_status(router, settings, holder)
    app.include_router(router)
