"""`movierec …`: what is done by hand."""

from __future__ import annotations

import os
import shutil
import sqlite3
from datetime import datetime
from typing import Annotated

import typer
from pydantic import ValidationError

from movierec_assets.cli.backup import backup_command
from movierec_assets.cli.fetch import fetch_command
from movierec_assets.cli.forget import forget_command
from movierec_assets.cli.logs import logs_command
from movierec_assets.cli.metrics import metrics_command
from movierec_assets.cli.move_database import move_database_command
from movierec_assets.cli.processes import MLFLOW_SETTINGS
from movierec_assets.cli.prune import prune_command
from movierec_assets.cli.recover import recover_command
from movierec_assets.cli.refused import refused
from movierec_assets.cli.replay import replay_command
from movierec_assets.cli.restore import restore_command

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="A daily movie-recommendation platform.",
)
app.command("fetch")(fetch_command)
app.command("logs")(logs_command)
app.command("recover")(recover_command)
app.command("backup")(backup_command)
app.command("restore")(restore_command)
app.command("move-database")(move_database_command)
app.command("prune")(prune_command)
app.command("metrics")(metrics_command)
app.command("forget")(forget_command)
app.command("replay")(replay_command)


def main() -> None:
    """The commands; a wrong setting or a file that cannot be used is named, without a traceback."""
    os.environ.update({**MLFLOW_SETTINGS, **os.environ})  # read once, by MLflow's import
    try:
        app()
    except ValidationError as error:
        if error.title != "Settings":
            raise
        from movierec_assets.settings import env_file
        from movierec_serving.common_settings import faults

        for fault in faults(error):
            typer.echo(f"settings: {fault}", err=True)
        typer.echo(f"mend it in {env_file().resolve()}, or in the environment", err=True)
        raise SystemExit(2) from None
    except OSError as error:  # another user's home, a full disk: it names the file
        typer.echo(f"movierec: {error}", err=True)
        raise SystemExit(1) from None
    except Exception as error:  # SQLAlchemy wraps what SQLite says, of a full disk for example
        cause = getattr(error, "orig", error)
        if not isinstance(cause, sqlite3.Error):
            raise
        from movierec_assets.settings import settings

        warehouse = settings().warehouse  # SQLite names no file
        free = f"{shutil.disk_usage(warehouse).free / 1e6:.1f} MB of its disk are free"
        said = f"a database cannot be used: {cause}. See that {warehouse} can be written; {free}"
        typer.echo(f"movierec: {said}", err=True)
        raise SystemExit(1) from None


@app.command("setup")
def setup_command(
    databases_only: Annotated[
        bool,
        typer.Option(help="write no .env: all settings are in the environment, as in a container"),
    ] = False,
) -> None:
    """Write .env and create the databases, once. Running it again changes nothing."""
    from movierec_assets.cli.setup import create_databases, home_folder, set_up
    from movierec_assets.settings import settings
    from movierec_assets.settings.unknown import unknown_settings

    with refused("setup"):
        if databases_only:
            create_databases(home_settings := settings())
        else:
            home_settings = set_up(home_folder())
            for line in unknown_settings(home_folder() / ".env"):
                typer.echo(f"setup: {line}", err=True)
    typer.echo(f"ready: {home_settings.warehouse}")


@app.command("up")
def up_command() -> None:
    """Run Dagster's UI and daemon, the endpoint and MLflow's UI together until Ctrl-C."""
    from movierec_assets.cli.setup import home_folder
    from movierec_assets.cli.up import up

    with refused("up"):
        raise typer.Exit(up(home_folder()))


@app.command("status")
def status_command() -> None:
    """Say what each stage has, and where two disagree."""
    from movierec_assets.cli.status import show_status
    from movierec_assets.settings import settings

    if not (settings().warehouse / "movierec.duckdb").is_file():
        typer.echo(
            f"status: no warehouse at {settings().warehouse}: run `make setup` first", err=True
        )
        raise typer.Exit(1)
    raise typer.Exit(0 if show_status() else 1)


@app.command("lineage")
def lineage_command(
    version: Annotated[str, typer.Argument(help="a version's number, or a recommendation id")],
    rehash: Annotated[
        bool, typer.Option(help="read every file again and compare its sha256")
    ] = False,
    user: Annotated[
        str | None, typer.Option(help="show what the version recommends to this user")
    ] = None,
    events: Annotated[
        bool, typer.Option(help="name each event whose rating the version was trained on")
    ] = False,
) -> None:
    """Name what a version was made from: parameters, parents, days, delivered files."""
    from rich.console import Console

    from movierec_assets.cli.lineage import show_lineage
    from movierec_assets.settings import settings

    with refused("lineage"):
        sound = show_lineage(
            settings(),
            version,
            rehash=rehash,
            user=user,
            console=Console(highlight=False),
            events=events,
        )
    raise typer.Exit(0 if sound else 1)


@app.command("explain")
def explain_command(
    recommendation_id: Annotated[str, typer.Argument(help="the list's id, as the answer had it")],
) -> None:
    """Show a list again: why each movie was in it, and what its user did with it."""
    from rich.console import Console

    from movierec_assets.cli.explain import explain
    from movierec_assets.platform import wired

    with refused("explain"):
        explain(wired(), recommendation_id, Console(highlight=False))


@app.command("verify")
def verify_command(
    version: Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="a version's number")],
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="rebuild its parents, too, from this day on",
        ),
    ] = None,
) -> None:
    """Rebuild a version from the archived chunks and compare its factors bit by bit."""
    from mlflow.exceptions import MlflowException

    from movierec_assets.cli.verify import verify
    from movierec_assets.settings import settings

    sound = True
    with refused("verify", MlflowException):
        for rebuilt in verify(settings(), version, since.date().isoformat() if since else None):
            typer.echo(str(rebuilt))
            sound &= rebuilt.sound
    raise typer.Exit(0 if sound else 1)
