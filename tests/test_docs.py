"""The documents name what there is."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from movierec_assets.cli.app import app
from movierec_assets.settings import Settings
from movierec_serving.settings import Settings as ServingSettings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def settings_table() -> str:
    """The README's table, from the fields themselves."""
    rows = {}
    for model in (ServingSettings, Settings):
        for name, field in model.model_fields.items():
            alias = field.validation_alias
            variable = alias if isinstance(alias, str) else f"MOVIEREC_{name.upper()}"
            default = field.get_default(call_default_factory=name != "home")
            shown = {"home": "this folder", "endpoints": "http://127.0.0.1:8000"}.get(name, default)
            rows[variable] = (
                f"| `{variable}` | {'' if shown is None else shown} | {field.description} |"
            )
    return "\n".join(
        ["| variable | default | |", "|---|---|---|", *(rows[key] for key in sorted(rows))]
    )


def test_the_readme_lists_every_setting() -> None:
    found = re.search(r"<!-- settings -->\n(.*?)\n?<!-- /settings -->", README, re.S)
    assert found is not None
    assert found[1] == settings_table()


def test_the_readme_or_changelog_names_every_command() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    text = README + (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    missing = [
        name for name in commands if f"`{name}`" not in text and f"movierec {name}" not in text
    ]
    assert missing == []


def test_the_readmes_files_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_nothing_names_a_package_index() -> None:
    texts = [
        file.read_text(encoding="utf-8")
        for file in (ROOT / "requirements.lock", ROOT / "Makefile", ROOT / "pyproject.toml")
    ]
    assert not any(
        word in text
        for text in texts
        for word in ("--index-url", "--extra-index-url", "--find-links")
    )
