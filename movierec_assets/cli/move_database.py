"""`movierec move-database`: records of Dagster, MLflow and events, from SQLite to PostgreSQL.

The home goes on using SQLite until the last row is there and counted. Then `.env` names the new
databases, in one step. The old files are left.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import sqlalchemy as sa

    from movierec_assets.settings import Settings

ADDRESS = "postgresql+psycopg2://user@host/database; its password is in PGPASSWORD"


def move_database_command(
    dagster: Annotated[str | None, typer.Option(help=f"for Dagster's records: {ADDRESS}")] = None,
    mlflow: Annotated[str | None, typer.Option(help=f"for MLflow's records: {ADDRESS}")] = None,
    events: Annotated[str | None, typer.Option(help=f"for what users did: {ADDRESS}")] = None,
) -> None:
    """Copy records from SQLite into empty PostgreSQL databases, then use these. Stop all first."""
    from sqlalchemy.exc import SQLAlchemyError

    from movierec_assets.cli.setup import configure, home_folder
    from movierec_assets.cli.up import exclusively
    from movierec_assets.errors import MovierecError
    from movierec_assets.settings import Settings

    given = {
        "MOVIEREC_DAGSTER_DATABASE": dagster,
        "MLFLOW_TRACKING_URI": mlflow,
        "MOVIEREC_EVENTS_URL": events,
    }
    wanted = {name: address for name, address in given.items() if address}
    Settings(  # each address is of the form that the setting wants, or is refused by its name
        _env_file=None, dagster_database=dagster, MLFLOW_TRACKING_URI=mlflow, events_url=events
    )
    root = home_folder()
    try:
        home_settings = configure(root)
        with exclusively(home_settings.warehouse):
            _refuse(home_settings, wanted)
            _move(home_settings, wanted)
            _write(root / ".env", wanted)
    except (MovierecError, SQLAlchemyError) as error:
        typer.echo(
            f"move-database: {error}\nnothing is changed: SQLite is used as before", err=True
        )
        raise typer.Exit(1) from error
    typer.echo("from now on these are used; the SQLite files are left, and no longer read")


def _refuse(home_settings: Settings, wanted: dict[str, str]) -> None:
    from movierec_assets.errors import EndpointError, MoveError
    from movierec_assets.platform import Platform

    now = {
        "MOVIEREC_DAGSTER_DATABASE": home_settings.dagster_database or "",
        "MLFLOW_TRACKING_URI": home_settings.mlflow_tracking_uri or "",
        "MOVIEREC_EVENTS_URL": home_settings.events_address or "",
    }
    elsewhere = [name for name in wanted if now[name] and not now[name].startswith("sqlite:")]
    if elsewhere or not wanted:
        raise MoveError(
            f"{', '.join(elsewhere)} names a database already: only SQLite's are moved"
            if elsewhere
            else "name a database at least: --dagster, --mlflow or --events"
        )
    client = Platform.of(home_settings).serving_client
    for url in client.endpoints:
        try:
            client.model(url)
        except EndpointError:
            continue
        raise MoveError(f"{url} answers, and would write into the old file: stop the endpoint")


def _move(home_settings: Settings, wanted: dict[str, str]) -> None:
    """Copy each database in a transaction, and end all of them when all counts are right."""
    import sqlalchemy as sa

    with ExitStack() as stack:
        for name, address in wanted.items():
            OWNERS[name](home_settings, address)
            by_driver = address.replace("postgresql://", "postgresql+psycopg2://", 1)
            engine = sa.create_engine(by_driver, poolclass=sa.NullPool)
            target = stack.enter_context(engine.begin())
            typer.echo(f"{name}: {_copy(home_settings, name, target)}")


def _copy(home_settings: Settings, name: str, target: sa.Connection) -> str:
    """Copy what a setting's database is made of; what was copied, in words."""
    from movierec_assets.resources.copied_tables import copy_run_events, copy_tables

    records = Path(os.environ["MOVIEREC_DAGSTER_DIR"])
    if name == "MLFLOW_TRACKING_URI":
        copied = copy_tables([Path(home_settings.tracking_uri.removeprefix("sqlite:///"))], target)
    elif name == "MOVIEREC_EVENTS_URL":
        copied = copy_tables([home_settings.warehouse / "events" / "events.db"], target)
    else:
        history = records / "history"
        index = history / "runs" / "index.db"
        copied = copy_tables(
            [history / "runs.db", index, records / "schedules" / "schedules.db"], target
        )
        of_runs = [file for file in sorted(index.parent.glob("*.db")) if file != index]
        copied["event_logs"] = copy_run_events(of_runs, target)
    tables = ", ".join(f"{table} {number}" for table, number in copied.items())
    return f"{sum(copied.values())} rows: {tables}"


def _make_for_dagster(home_settings: Settings, address: str) -> None:
    from dagster_postgres import DagsterPostgresStorage

    DagsterPostgresStorage(address)


def _make_for_mlflow(home_settings: Settings, address: str) -> None:
    from mlflow import MlflowClient

    MlflowClient(address, address).search_experiments()


def _make_for_events(home_settings: Settings, address: str) -> None:
    from movierec_serving.events.opening import open_store

    store = open_store(home_settings.warehouse / "events", address)
    store.changed_deliveries()
    store.close()


OWNERS: dict[str, Callable[[Settings, str], None]] = {
    "MOVIEREC_DAGSTER_DATABASE": _make_for_dagster,
    "MLFLOW_TRACKING_URI": _make_for_mlflow,
    "MOVIEREC_EVENTS_URL": _make_for_events,
}


def _write(env: Path, lines: dict[str, str]) -> None:
    """Write all lines in one step, so that a kill leaves the old `.env` or the new one."""
    from dotenv import set_key

    new = env.with_name(".env.new")
    shutil.copy2(env, new)
    for name, value in lines.items():
        set_key(new, name, value, quote_mode="always")
    new.replace(env)
