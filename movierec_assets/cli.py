"""`movierec …`: what is done by hand."""

from __future__ import annotations

from pathlib import Path

import typer

from movierec_assets.commands.fetch import fetch_command

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="A daily movie-recommendation platform.",
)
app.command("fetch")(fetch_command)


@app.command("setup")
def setup_command() -> None:
    """Write .env and create the databases, once. Running it again changes nothing."""
    from movierec_assets.commands.setup import set_up

    chosen = set_up(Path.cwd())
    typer.echo(f"ready: {chosen.warehouse}")


@app.command("up")
def up_command() -> None:
    """Run webserver, daemon, endpoint and MLflow's UI together until Ctrl-C."""
    from movierec_assets.commands.up import InUse, up

    try:
        code = up(Path.cwd())
    except InUse as error:
        typer.echo(f"up: {error}", err=True)
        code = 1
    raise typer.Exit(code)


@app.command("demo")
def demo_command() -> None:
    """MovieLens 100k from its first day to a reload under load, on real processes; then all is stopped."""
    from movierec_assets.commands.demo import DemoError, demo

    try:
        demo(Path.cwd())
    except DemoError as error:
        typer.echo(f"demo: {error}", err=True)
        raise typer.Exit(1) from error


@app.command("status")
def status_command() -> None:
    """What is delivered, validated, trained, registered, in production and served; and where they disagree."""
    from movierec_assets.commands.status import show_status

    raise typer.Exit(0 if show_status() else 1)
