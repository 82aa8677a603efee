"""The errors that the two packages raise on purpose."""

from __future__ import annotations

from importlib import import_module
from inspect import getdoc
from pathlib import Path

from docs.generated.markdown import sentence

ROOT = Path(__file__).parents[2]


def errors() -> str:
    """A heading for each error that the two packages raise on purpose."""
    sections = []
    for package in ("movierec_assets", "movierec_serving"):
        if not (ROOT / package / "errors.py").is_file():
            continue
        module = import_module(f"{package}.errors")
        for name, value in vars(module).items():
            own = getattr(value, "__module__", None) == module.__name__
            if own and isinstance(value, type) and issubclass(value, Exception):
                parents = ", ".join(f"`{base.__name__}`" for base in value.__bases__)
                text = sentence((getdoc(value) or "").split("\n\n")[0])
                where = f"In `{package}`, below {parents}."
                sections.append(f"### `{name}`\n\n{text} {where}")
    return "\n\n".join(sections)
