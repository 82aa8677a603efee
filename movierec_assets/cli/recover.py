"""`movierec recover`: what the home lost is named and, with `--apply`, made again."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from movierec_assets.cli.refused import refused

NO_ENV = (
    "recover: .env is lost: run `movierec setup`, which writes it with a new token, put your other "
    "settings into it, and start the endpoints again"
)


def recover_command(
    apply: Annotated[bool, typer.Option("--apply", help="do what is said")] = False,
) -> None:
    """Name what the home has lost; with --apply, make it again. The platform must be stopped."""
    import dagster as dg

    from movierec_assets.cli.recovering import all_losses, recover
    from movierec_assets.cli.setup import load_env
    from movierec_assets.cli.up import exclusively
    from movierec_assets.platform import wired

    load_env()
    if "MOVIEREC_DAGSTER_DIR" not in os.environ:
        typer.echo(NO_ENV, err=True)
        raise typer.Exit(1)
    platform = wired()
    with refused("recover"), dg.DagsterInstance.get() as instance:
        if apply:
            with exclusively(platform.settings.warehouse):
                recover(platform, instance, typer.echo)
        left = all_losses(platform, instance)
    for loss in left:
        typer.echo(str(loss))
    typer.echo("nothing is lost" if not left else f"lost: {len(left)}")
    raise typer.Exit(1 if left else 0)
