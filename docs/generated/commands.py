"""The commands of `movierec`, as its command line describes itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docs.generated.markdown import sentence, table


def commands() -> str:
    """A heading for each command of `movierec`, with its arguments and options."""
    from typer.main import get_command

    from movierec_assets.cli.app import app

    return "\n\n".join(_commands_of(get_command(app), "movierec"))


def _commands_of(command: Any, name: str) -> Iterator[str]:
    children = getattr(command, "commands", {})
    for child, subcommand in sorted(children.items()):
        yield from _commands_of(subcommand, f"{name} {child}")
    if not children:
        rows = [
            (
                ", ".join(f"`{opt}`" for opt in _spellings(given)),
                sentence(getattr(given, "help", "")),
            )
            for given in command.params
        ]
        parts = [f"### `{name}`", sentence(command.help)]
        yield "\n\n".join([*parts, table(("given", "meaning"), rows)] if rows else parts)


def _spellings(parameter: Any) -> list[str]:
    if parameter.param_type_name == "argument":
        return [str(parameter.name).upper()]
    return [*parameter.opts, *parameter.secondary_opts]
