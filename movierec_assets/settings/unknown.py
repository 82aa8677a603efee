"""Lines of a home's `.env` that look like settings and are none: nothing else would say so, and the
default would be in force.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic_settings import BaseSettings

from movierec_assets.settings import Settings
from movierec_serving.settings import ServingSettings

PREFIX = "MOVIEREC_"
_ELSEWHERE = {  # read by Dagster's instance, and by what builds and starts containers
    *("MOVIEREC_HOME", "MOVIEREC_DAGSTER_DIR"),
    *("MOVIEREC_BASE", "MOVIEREC_IMAGES", "MOVIEREC_PIPELINE", "MOVIEREC_SERVING"),
}


def unknown_settings(file: Path) -> list[str]:
    """Say of each variable with our prefix that is no setting which one may be meant, and name
    lines that are no variable at all.
    """
    if not file.exists():  # as in a container, whose settings are all in the environment
        return []
    known = {*_names(Settings), *_names(ServingSettings), *_ELSEWHERE}
    by_end = {_without_prefix(name): name for name in sorted(known)}
    with file.open(encoding="utf-8") as lines:
        unread = [each.original.line for each in parse_stream(lines) if each.error]
    said = [f"{file}, line {line}: expected NAME=VALUE; it is ignored" for line in unread]
    for name in dotenv_values(file):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(_without_prefix(name), by_end, n=1, cutoff=0.75)
            hint = f"did you mean {by_end[near[0]]}?" if near else "the reference lists all"
            said.append(f"{file}: {name} is no setting, and is ignored: {hint}")
    return said


def _without_prefix(name: str) -> str:
    return name.partition("_")[2]  # some settings have a library's: DAGSTER_WEBSERVER_PORT


def _names(model: type[BaseSettings]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        yield alias if isinstance(alias, str) else f"{PREFIX}{name.upper()}"
