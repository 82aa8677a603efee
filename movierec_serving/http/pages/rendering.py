"""Templates, texts and headers: values in, a page out."""

import tomllib
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from fastapi import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

# Nothing from elsewhere and nothing inline; a form goes to where the page came from.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-store",
    "Vary": "Cookie, HX-Request",
}


def render(template: str, status: int = 200, **values: Any) -> Response:
    """The answer that shows `values` by a template; what they hold is escaped."""
    text = environment().get_template(template).render(values)
    return Response(text, status, HEADERS, "text/html")


@cache
def environment() -> Environment:
    """A name that a template misspells is an error, not an empty string."""
    made = Environment(
        loader=PackageLoader("movierec_serving.http.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(stars=stars_in_words, in_words=in_words)
    made.globals.update(t=texts(), url=url, release=version("movierec"))
    return made


@cache
def texts() -> SimpleNamespace:
    """Each section of `texts.toml`, each text an attribute of it."""
    read = tomllib.loads(files(__package__).joinpath("texts.toml").read_text(encoding="utf-8"))
    return SimpleNamespace(**{name: SimpleNamespace(**section) for name, section in read.items()})


def url(page: str = "", /, **query: Any) -> str:
    """The address of a page; ids go into the query, since no path can hold `..` or `a//b`."""
    path = f"/app/{page}" if page else "/app"
    return f"{path}?{urlencode(query, doseq=True)}" if query else path


def stars_in_words(stars: float) -> str:
    """4.5 as 4½."""
    whole, half = divmod(round(stars * 2), 2)
    return f"{whole or ''}{'½' if half else ''}" or "0"


def in_words(seconds: float) -> str:
    """A time span for a person: `40 s`, `12 min`, `3 h`, `2 days`."""
    for unit, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit or (unit != 86_400 and seconds >= unit):
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"
