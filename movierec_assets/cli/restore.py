"""`movierec restore FILE`: a backup unpacked, checked, and made the home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from movierec_assets.cli.refused import refused


def restore_command(
    file: Annotated[Path, typer.Argument(help="what `movierec backup` wrote", exists=True)],
    to: Annotated[
        Path | None, typer.Option(help="the folder to restore into; without it, this home")
    ] = None,
) -> None:
    """Make a home from a backup. Its warehouse must hold no data, and nothing may run on it."""
    from movierec_assets.cli.up import exclusively
    from movierec_assets.maintenance.restore import restore
    from movierec_assets.settings import settings

    home = (to or settings().home).expanduser().absolute()
    with refused("restore", OSError), exclusively(home / "warehouse"):
        count = restore(file, home)
    typer.echo(f"{home}: {count} files, each with the sha256 that the backup says")
    typer.echo("next, in that folder: `movierec setup`, `movierec status`, `movierec up`")
    typer.echo("with MOVIEREC_STORE, `movierec recover --apply` brings the chunks of later days")
