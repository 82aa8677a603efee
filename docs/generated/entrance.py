"""What arrives and what becomes of it, from `entrance.toml`, which a test holds to the product."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs.generated.markdown import table

FILE = Path(__file__).parents[1] / "entrance.toml"
PARTS = {
    "files": "Data sets, by `movierec fetch`",
    "content": "A day's file",
    "again": "A day that is delivered again",
    "names": "Names in the landing zone",
    "movies": "The catalogue",
}


def cases() -> list[Mapping[str, Any]]:
    """Every case, as it stands in the file."""
    every: list[Mapping[str, Any]] = tomllib.loads(FILE.read_text(encoding="utf-8"))["case"]
    return every


def part_of(case: Mapping[str, Any]) -> str:
    """Which of `PARTS` a case belongs to."""
    return next(part for part in ("again", *PARTS) if part in case)


def entrance() -> str:
    """A table for each part."""
    return "\n\n".join(_tables())


def _tables() -> Iterator[str]:
    for part, title in PARTS.items():
        mine = [case for case in cases() if part_of(case) == part]
        rows = [(_what(case), case["becomes"].replace("\n", " ")) for case in mine]
        yield f"## {title}\n\n{table(('what comes', 'what becomes of it'), rows)}"


def _what(case: Mapping[str, Any]) -> str:
    declared = "; ".join(str(case.get("source", "")).splitlines())
    return f"{case['what']}: `{declared}`" if declared else str(case["what"])
