"""What no code can say: the meaning of tags and of entries of metadata, from `meanings.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from docs.generated.markdown import sentence, table

MEANINGS = Path(__file__).parents[1] / "meanings.toml"


def tags() -> str:
    """The tags of a version in MLflow."""
    rows = [(f"`{tag}`", sentence(text)) for tag, text in meanings_of("tags").items()]
    return table(("tag", "meaning"), rows)


@cache
def meanings_of(part: str) -> Mapping[str, Any]:
    """A part of `meanings.toml`: what no code can say."""
    content = MEANINGS.read_text(encoding="utf-8")
    return dict(tomllib.loads(content)[part])
