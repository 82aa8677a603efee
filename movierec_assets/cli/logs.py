"""`movierec logs`: what the platform's processes have logged, asked by SQL."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from movierec_assets.cli.refused import refused

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def since_of(text: str, now: datetime) -> datetime:
    """The UTC time of `90m`, `2h` or `3d` ago, or of an ISO time, naive as it is in the files.

    Raises:
        ValueError: it is neither.
    """
    if match := re.fullmatch(r"(\d{1,6})([mhd])", text):
        return (now - timedelta(**{UNITS[match[2]]: int(match[1])})).replace(tzinfo=None)
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)


def as_text(line: Mapping[str, Any]) -> str:
    """A line for a person: time, level, process, event, then the ids."""
    rest = {key: value for key, value in line.items() if key not in _FIRST}
    ids = " ".join(f"{key}={value}" for key, value in rest.items() if key != "error")
    head = f"{line['time']:%Y-%m-%d %H:%M:%S} {line.get('level', '')} {line.get('process', '')}: "
    error = f"\n{line['error']}" if "error" in line else ""
    return f"{head}{line.get('event', '')}" + (f"  [{ids}]" if ids else "") + error


_FIRST = ("time", "level", "process", "event", "logger", "pid")


def logs_command(
    since: Annotated[
        str, typer.Option(help="from when on: 90m, 2h, 3d, or a UTC time such as 2026-01-31T06:00")
    ] = "1d",
    where: Annotated[
        str,
        typer.Option(help="a condition in SQL, such as \"level = 'error' and process = 'daemon'\""),
    ] = "true",
    limit: Annotated[int, typer.Option(min=1, help="the newest so many")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON lines")] = False,
) -> None:
    """Search what the processes of `movierec up` have logged."""
    from movierec_assets.resources.log_files import lines_of
    from movierec_assets.settings import settings

    try:
        start = since_of(since, datetime.now(UTC))
    except ValueError as error:
        typer.echo(f"logs: --since is 90m, 2h, 3d or an ISO time, not {since!r}", err=True)
        raise typer.Exit(2) from error
    with refused("logs"):
        for line in lines_of(settings().warehouse / "logs", start, where, limit):
            typer.echo(json.dumps(line, default=str) if as_json else as_text(line))
