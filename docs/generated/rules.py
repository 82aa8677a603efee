"""The rules between packages, from the contracts that import-linter enforces."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def rules() -> str:
    """What may import what, as import-linter's contracts name it."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = pyproject["tool"]["importlinter"]["contracts"]
    return "\n".join(f"- {contract['name']}." for contract in contracts)
