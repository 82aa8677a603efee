"""Pages for people: what this is, and the API's document to try out.

All that a page needs is sent from `http/static`: the endpoint may have no internet. These routes
are not in the document, which is for programs.
"""

from functools import cache
from importlib.resources import files

from fastapi import FastAPI, Request, Response

from movierec_serving.http.replies import problem, reply

ABOUT = "Movie recommendations from the model that was promoted last."
LINKS = {
    "docs": "docs",
    "openapi": "openapi.json",
    "model": "model",
    "health": "health",
    "metrics": "metrics",
}
TYPES = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "app.svg": "image/svg+xml",
    "docs.html": "text/html; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "star.svg": "image/svg+xml",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}
# Nothing from elsewhere, nothing inline; pictures in the style sheet are data.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def get_about(request: Request) -> Response:
        """JSON, or a page where the caller prefers one, as a browser does."""
        if "text/html" in request.headers.get("accept", ""):
            return Response(_about(), headers=HEADERS, media_type="text/html")
        links = {name: f"/{path}" for name, path in LINKS.items()}
        return reply({"name": "movierec", "about": ABOUT, "links": links}).response()

    @app.get("/docs", include_in_schema=False)
    async def get_docs() -> Response:
        return _static("docs.html")

    @app.get("/static/{name}", include_in_schema=False)
    async def get_static(name: str) -> Response:
        if name not in TYPES:
            return problem(404, "there is no such file").response()
        return _static(name, {"Cache-Control": "public, max-age=3600"})


def _static(name: str, more: dict[str, str] | None = None) -> Response:
    return Response(_content(name), headers={**HEADERS, **(more or {})}, media_type=TYPES[name])


@cache
def _content(name: str) -> bytes:
    return files("movierec_serving.http").joinpath("static", name).read_bytes()


def _about() -> str:
    links = "".join(f'<li><a href="{path}">{name}</a></li>' for name, path in LINKS.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>movierec</title></head>'
        f"<body><h1>movierec</h1><p>{ABOUT}</p><ul>{links}</ul></body></html>"
    )
