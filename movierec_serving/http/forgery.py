"""Whether a page of this endpoint sent a request: no other site may rate in a user's name.

The rule of Go's `net/http.CrossOriginProtection` (1.25), after Filippo Valsorda (2025), "Cross-Site
Request Forgery": the browser says where a request comes from, so no token and no secret is needed.
It stands beside the cookie's SameSite=Strict, which not all browsers know.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit


def from_here(headers: Mapping[str, str]) -> bool:
    """By `Sec-Fetch-Site` where the browser sends it, as to https and to loopback; else by
    `Origin`, whose host must be the one that was asked. Who sends neither is no browser's form.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    host = headers.get("host", "")
    try:
        origin = urlsplit(headers.get("origin", "")).netloc
    except ValueError:  # it is no address, so not of a page of ours
        return False
    return bool(host) and origin.lower() == host.lower()


def from_another_page(headers: Mapping[str, str]) -> bool:
    """Whether a browser sent it for another site, unasked. Programs send neither header, and a page
    that sends a key was allowed to: no other header of ours passes without the browser's asking.
    """
    by_a_browser = "sec-fetch-site" in headers or "origin" in headers
    return by_a_browser and "x-api-key" not in headers and not from_here(headers)
