"""`movierec backup FILE`: everything that the platform keeps, while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from movierec_assets.cli.refused import refused


def backup_command(
    file: Annotated[Path, typer.Argument(help="a new file: .tar, .tar.gz or .tgz")],
    with_secrets: Annotated[
        bool, typer.Option(help="also the token and every other line of .env")
    ] = False,
) -> None:
    """Write a consistent copy of the home into one file; the platform may run."""
    from movierec_assets.maintenance.backup import back_up
    from movierec_assets.maintenance.disk import shared_in_words
    from movierec_assets.platform import wired

    platform = wired()
    with refused("backup", OSError):
        manifest = back_up(platform, file, secrets=with_secrets)
    typer.echo(f"{file}: {len(manifest.files)} files, {manifest.bytes / 1e6:,.1f} MB")
    events = ["the events' PostgreSQL"] if platform.settings.events_url else []
    for place in (*platform.settings.kept_elsewhere, *events):
        typer.echo(f"{place} is not in it: back it up by its own means at the same time")
    if shared := shared_in_words(platform):
        typer.echo(f"{shared}, are as they are: this file has chunks and models of its own")
    if not with_secrets:
        typer.echo("no secret is in it: `movierec setup` writes a new token after a restore")
