"""The settings of both packages, from the fields of their models."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic_settings import BaseSettings

from docs.generated.markdown import sentence

KINDS = {"integer": "a whole number", "number": "a number", "array": "a list, separated by commas"}


def settings() -> str:
    """A heading for each setting of both packages: meaning, default, what it accepts."""
    by_variable = _settings_of("movierec_serving") | _settings_of("movierec_assets")
    return "\n\n".join(by_variable[variable] for variable in sorted(by_variable))


def _settings_of(package: str) -> dict[str, str]:

    module = import_module(f"{package}.settings")
    sections = {}
    for model in vars(module).values():
        if not isinstance(model, type) or not issubclass(model, BaseSettings):
            continue
        if model.__module__ != module.__name__:
            continue
        schema = model.model_json_schema(by_alias=False)
        for name, field in model.model_fields.items():
            alias = field.validation_alias
            given = alias if isinstance(alias, str) else f"MOVIEREC_{name.upper()}"
            required = schema["properties"][name]
            meaning = sentence(field.description)
            facts = f"Default: {_default(model, name)}. Accepts {_accepted(required)}."
            sections[given] = f"### `{given}`\n\n{meaning}\n\n{facts}"
    return sections


def _default(model: type[BaseSettings], name: str) -> str:
    if name == "home":
        return "the checkout's folder"
    others = {other: field.default for other, field in model.model_fields.items()}
    value = model.model_fields[name].get_default(call_default_factory=True, validated_data=others)
    if isinstance(value, tuple | list):
        value = ",".join(map(str, value))
    return "empty" if value in (None, "") else f"`{value}`"


def _accepted(schema: Mapping[str, Any]) -> str:
    """What a value may be, in words, from its JSON schema."""
    choices = schema.get("anyOf", [schema])
    parts = [_accepted_kind(choice) for choice in choices if choice.get("type") != "null"]
    if len(parts) < len(choices):
        parts.append("nothing")
    return " or ".join(dict.fromkeys(parts))


def _accepted_kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("format") == "date":
        return "a date, YYYY-MM-DD"
    if schema.get("format") == "path":
        return "a path"
    if "pattern" in schema:
        return f"text that matches `{schema['pattern']}`"
    kind = KINDS.get(str(schema.get("type")), "text")
    bounds = {
        "minimum": "from",
        "exclusiveMinimum": "above",
        "maximum": "to",
        "exclusiveMaximum": "below",
    }
    limits = [f"{word} {schema[key]:g}" for key, word in bounds.items() if key in schema]
    return " ".join([kind, *limits])
