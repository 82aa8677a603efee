"""The routes and bodies of the endpoint, from its OpenAPI document."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from docs.generated.markdown import sentence, table

UNSAID = "Successful Response"  # FastAPI's word where nothing else was said
METHODS = ("get", "post", "put", "delete")


@cache
def openapi() -> Mapping[str, Any]:
    """The endpoint's OpenAPI document; its server is built in an empty folder and not started."""
    with tempfile.TemporaryDirectory() as folder:
        from movierec_serving.runtime.server import build_server

        module = import_module("movierec_serving.settings")
        return dict(build_server(module.ServingSettings(home=Path(folder))).app.openapi())


def routes() -> str:
    """A heading for each route: what it answers, its parameters, its answers."""
    return "\n\n".join(
        _route(f"{method.upper()} {path}", operations[method])
        for path, operations in sorted(openapi()["paths"].items())
        for method in METHODS
        if method in operations
    )


def _route(name: str, operation: Mapping[str, Any]) -> str:
    parts = [f"### `{name}`", sentence(operation.get("summary"))]
    if operation.get("description"):
        parts.append(operation["description"])
    parameters = [
        (
            f"`{given['name']}`",
            given["in"],
            _type(given["schema"]),
            sentence(given.get("description") or given["schema"].get("description")),
        )
        for given in operation.get("parameters", [])
    ]
    if parameters:
        parts.append(table(("parameter", "in", "type", "meaning"), parameters))
    if "requestBody" in operation:
        parts.append(f"Body: {_content(operation['requestBody'])}.")
    answers = [
        (
            code,
            _content(answer),
            sentence(answer["description"].replace(UNSAID, "")),
        )
        for code, answer in sorted(operation["responses"].items())
    ]
    parts.append(table(("status", "body", "when"), answers))
    return "\n\n".join(parts)


def _content(body: Mapping[str, Any]) -> str:
    return ", ".join(_type(kind.get("schema", {})) for kind in body.get("content", {}).values())


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON schema in a word or two; a named one as a link."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_type, choices)))
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [f"{schema[key]:g}" for key in ("minimum", "maximum") if key in schema]
    return f"{schema.get('type', 'text')} {' to '.join(limits)}".strip()


def bodies() -> str:
    """A heading for each body that requests and answers have, with its fields."""
    sections = []
    for name, schema in sorted(openapi()["components"]["schemas"].items()):
        fields = [
            (f"`{field}`", _type(about), sentence(about.get("description")))
            for field, about in schema.get("properties", {}).items()
        ]
        parts = [f"### {name}", *([schema["description"]] if "description" in schema else [])]
        sections.append("\n\n".join([*parts, table(("field", "type", "meaning"), fields)]))
    return "\n\n".join(sections)
