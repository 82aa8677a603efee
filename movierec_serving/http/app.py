"""All of HTTP put together: routes and error replies by FastAPI, and middleware around it."""

from importlib.metadata import version

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.types import ASGIApp

from movierec_serving import tracing
from movierec_serving.http.middleware.api_keys import Accepted, ApiKeys
from movierec_serving.http.middleware.body_limit import BodyLimit
from movierec_serving.http.middleware.early_events import EarlyEvents
from movierec_serving.http.middleware.early_lists import EarlyLists
from movierec_serving.http.middleware.observed import Observed
from movierec_serving.http.middleware.traced import Traced
from movierec_serving.http.pages import add_app
from movierec_serving.http.routes.admin import add_admin_routes
from movierec_serving.http.routes.errors import add_error_replies
from movierec_serving.http.routes.events import add_event_routes
from movierec_serving.http.routes.health import add_health_routes
from movierec_serving.http.routes.movies import add_movie_routes
from movierec_serving.http.routes.pages import ABOUT, add_pages
from movierec_serving.http.routes.recommendations import (
    add_recommendation_routes,
    add_recommendations_by_workers,
)
from movierec_serving.http.routes.users import add_user_routes
from movierec_serving.model.holder import ModelHolder
from movierec_serving.settings import ServingSettings


class IdConvertor(StringConvertor):
    """The rest of the path, slashes and line ends included: an id is any text."""

    regex = "(?s:.*)"


def complete(
    app: FastAPI,
    settings: ServingSettings,
    holder: ModelHolder,
    by_workers: type[APIRoute],
    deadline: float,
) -> ASGIApp:
    """Everything that is asked and answered over HTTP; what is returned is to be served.

    Args:
        by_workers: the class of the route whose body may go to a worker.
        deadline: seconds within which a worker answers, or nobody.
    """
    app.title, app.version, app.description = "movierec", version("movierec"), ABOUT
    app.router.redirect_slashes = False  # an id may end in one
    register_url_convertor("id", IdConvertor())
    add_recommendations_by_workers(app, deadline, by_workers)
    of_user = add_recommendation_routes(app, holder)
    inner: ASGIApp = app
    if holder.lately is not None:
        keep, events = add_event_routes(app, holder.lately.log)
        inner = EarlyEvents(inner, keep, events)
    add_user_routes(app, holder)
    add_movie_routes(app, holder)
    add_health_routes(app, settings, holder)
    add_admin_routes(app, settings, holder)
    add_pages(app)
    if settings.app == "on":
        add_app(app, settings, holder)
    add_error_replies(app)
    return _within_middleware(inner, settings, holder, of_user)


def _within_middleware(
    app: ASGIApp, settings: ServingSettings, holder: ModelHolder, of_user: APIRoute
) -> ASGIApp:
    """What is put around last is asked first.

    It stands outside FastAPI, whose own layers cost a tenth of a plain GET.
    """
    app = EarlyLists(BodyLimit(app), holder, of_user)
    if settings.api_keys:
        app = ApiKeys(app, Accepted.of(settings))
    app = Observed(app)
    return Traced(app, settings.trace_share) if tracing.on() else app
