"""How routes are described in OpenAPI: the errors each kind of route may answer with, its keys."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path, Security
from fastapi.security import APIKeyHeader

from movierec_serving.http.middleware.api_keys import KEY_HEADER
from movierec_serving.http.schemas.events import EventId
from movierec_serving.http.schemas.ids import MovieId, UserId
from movierec_serving.http.schemas.problems import InvalidRequest, Problem

Documented = dict[int | str, dict[str, Any]]


def problems(causes: Mapping[int, str]) -> Documented:
    """Error answers, by status."""
    return {code: {"model": Problem, "description": cause} for code, cause in causes.items()}


NO_MODEL = problems(
    {503: "There is no model yet, or too many requests wait; Retry-After says how long to wait"}
)
INVALID: Documented = {
    400: {"description": "No HTTP, or a URL above 64 KB", "content": {"text/plain": {}}},
    422: {"model": InvalidRequest, "description": "Names the field that is wrong"},
}
BAD_BODY = problems({400: "The body cannot be read", 413: "The body is too large"})
PUBLIC: Documented = {
    **problems({401: "MOVIEREC_API_KEYS is set, and no valid key was sent"}),
    **INVALID,
    **NO_MODEL,
}
UNKNOWN: Documented = {**PUBLIC, **problems({404: "The model does not know it"})}

GONE = problems({410: "The store no longer has the version of `page`; begin again without it"})

OTHER_PART = problems(
    {421: "The endpoint holds other users; the answer's `X-Movierec-Shard` says whom to ask"}
)

STAMPED = {"X-Model-Version": {"schema": {"type": "integer"}, "description": "as in the body"}}
LIST: Documented = {200: {"headers": STAMPED}, **OTHER_PART}

# For the document: the middleware refuses, before anything is read.
_key = APIKeyHeader(name=KEY_HEADER, description="where MOVIEREC_API_KEYS is set", auto_error=False)
KEY = [Security(_key)]

UserInPath = Annotated[UserId, Path()]
MovieInPath = Annotated[MovieId, Path()]
EventInPath = Annotated[EventId, Path()]
