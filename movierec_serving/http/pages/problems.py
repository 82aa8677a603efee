"""What a person sees when a page cannot be shown: what happened, and what helps."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from movierec_serving.errors import (
    EventStoreError,
    ModelUnavailableError,
    OptionError,
    PageError,
)
from movierec_serving.http.pages.rendering import render, texts, url
from movierec_serving.http.pages.visitor import visitor

logger = logging.getLogger(__name__)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
NOBODY = "nobody"  # has come yet: the first page asks who it is


class PageRoute(APIRoute):
    """A route whose errors are pages. A form that htmx sent gets a sentence instead."""

    def get_route_handler(self) -> Handler:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except ModelUnavailableError:
                return problem_page(request, 503, "no_model")
            except EventStoreError as error:
                logger.error("%s", error)  # it may name paths, which callers must not see
                return problem_page(request, 503, "no_events")
            except PageError as error:
                return problem_page(request, error.status, error.text)
            except OptionError:
                return problem_page(request, 404, "no_genre")
            except RequestValidationError:
                return problem_page(request, 422, "wrong")
            except (HTTPException, ClientDisconnect):  # too large a body, and nobody to tell
                raise
            except Exception:
                logger.exception("no page for %s", request.url.path)
                return problem_page(request, 500, "broken")

        return handle


def problem_page(request: Request, status: int, name: str) -> Response:
    """`name` is that of a text, `NAME_hint` says what to do."""
    if name == NOBODY:
        return elsewhere(request, url())
    problem = texts().problem
    heading, hint = getattr(problem, name), getattr(problem, f"{name}_hint")
    template = "sentence.html" if request.headers.get("hx-request") else "problem.html"
    values = {"user": visitor(request), "heading": heading, "hint": hint, "again": status == 503}
    return render(template, status, **values)


def elsewhere(request: Request, address: str) -> Response:
    """Show another page instead; htmx would put it into the part that it asked for."""
    if request.headers.get("hx-request"):
        return Response(status_code=204, headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)
