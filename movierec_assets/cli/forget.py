"""`movierec forget USER --reason TEXT`: nothing that the platform keeps holds the id afterwards."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from movierec_assets.cli.refused import refused


def forget_command(
    user: Annotated[
        str | None,
        typer.Argument(help="the id; - reads it from standard input, out of the shell's history"),
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="why, for the audit; it must not name the user")
    ] = None,
    resume: Annotated[bool, typer.Option(help="go on with one that was cut short")] = False,
) -> None:
    """Forget a user: chunks are rewritten, rows deleted, models removed and made again.

    The platform must be stopped.
    """
    import dagster as dg

    from movierec_assets.cli.forgetting import begin, forget
    from movierec_assets.cli.setup import load_env
    from movierec_assets.cli.up import exclusively
    from movierec_assets.errors import ForgetError
    from movierec_assets.maintenance.backup import maintenance
    from movierec_assets.platform import wired

    load_env()
    platform = wired()
    warehouse = platform.settings.warehouse
    with refused("forget", OSError):
        if resume == (user is not None):
            raise ForgetError("expected a user and --reason, or --resume alone")
        name = sys.stdin.readline().strip() if user == "-" else user
        with exclusively(warehouse), maintenance(warehouse):
            journal = begin(platform, name, reason)
            with dg.DagsterInstance.get() as instance:
                forget(platform, instance, journal, typer.echo)
