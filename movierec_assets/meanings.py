"""What the names in a home mean: tables, columns, tags, metadata, figures. The words are in
`meanings.toml` and nowhere else: Dagster's catalogue and the documents take them from there.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

MEANINGS = Path(__file__).with_name("meanings.toml")


@cache
def meanings_of(part: str) -> Mapping[str, Any]:
    """A part of `meanings.toml`, such as `columns`."""
    content = MEANINGS.read_text(encoding="utf-8")
    return dict(tomllib.loads(content)[part])
