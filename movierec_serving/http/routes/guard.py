"""Who may change what is served: whoever sends the token of the settings."""

import hmac
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from movierec_serving.http.routes.documented import INVALID, problems
from movierec_serving.settings import ServingSettings

REFUSED = "MOVIEREC_RELOAD_TOKEN is not set, so everybody is refused"
GUARDED = (
    problems(
        {
            401: "No token, or a wrong one",
            403: REFUSED,
            503: "Another change is still under way, or the pointer's file was replaced",
        }
    )
    | INVALID
)

bearer = HTTPBearer(auto_error=False, description="MOVIEREC_RELOAD_TOKEN")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def guard_of(settings: ServingSettings) -> Sequence[Any]:
    """The dependencies of a guarded route, whose responses are `GUARDED`."""

    async def authorize(credentials: Credentials) -> None:
        if settings.reload_token is None:
            raise HTTPException(403, "this is refused: MOVIEREC_RELOAD_TOKEN is not set")
        # Starlette reads headers as Latin-1, so this gives the bytes that were sent.
        given = credentials.credentials.encode("latin-1", "replace") if credentials else b""
        if not hmac.compare_digest(given, settings.reload_token.get_secret_value().encode()):
            raise HTTPException(
                401, "wrong or missing bearer token", {"WWW-Authenticate": "Bearer"}
            )

    return [Depends(authorize)]
