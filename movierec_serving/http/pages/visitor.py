"""Who looks at the pages: the user whose id this browser keeps in a cookie.

There are no passwords: as with the routes for programs, whoever may ask at all may ask for any
user.
"""

import base64
import binascii
import secrets

from fastapi import Request, Response

from movierec_serving.bundle import layout
from movierec_serving.http.middleware.api_keys import COOKIE as KEY_COOKIE

COOKIE = "movierec_user"
KEPT, KEY_KEPT = 365 * 24 * 3600, 30 * 24 * 3600  # seconds


def visitor(request: Request) -> str | None:
    """The user's id; None for nobody, or where the cookie is not one of ours."""
    try:
        raw = base64.urlsafe_b64decode(request.cookies.get(COOKIE, "").encode("ascii"))
        user = raw.decode()
    except (UnicodeError, binascii.Error):
        return None
    return user if is_id(user) else None


def is_id(text: str) -> bool:
    """Whether a text can be the id of a user or a movie."""
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return layout.is_id(text)


def new_name() -> str:
    """Make a name for somebody who gave none; nobody else gets it."""
    return f"guest-{secrets.token_hex(4)}"


def remember(response: Response, user: str, secure: bool) -> None:
    """Keep the user in a cookie. It is SameSite=Strict, so no other site acts in their name."""
    value = base64.urlsafe_b64encode(user.encode()).decode()
    _set_cookie(response, COOKIE, value, KEPT, secure)


def remember_key(response: Response, cookie: str, secure: bool) -> None:
    """Keep in a cookie what opens the pages where the endpoint asks for keys."""
    _set_cookie(response, KEY_COOKIE, cookie, KEY_KEPT, secure)


def forget(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/app")


def _set_cookie(response: Response, name: str, value: str, kept: int, secure: bool) -> None:
    response.set_cookie(
        name, value, max_age=kept, path="/app", secure=secure, httponly=True, samesite="strict"
    )
