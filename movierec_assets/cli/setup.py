"""Set-up: `.env`, and every database opened once, so that no two processes race to create it.

A home is a folder with dagster.yaml and workspace.yaml; `.env` and `warehouse/` are made in it.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from dotenv import dotenv_values, load_dotenv, set_key

from movierec_assets.errors import HomeError
from movierec_assets.platform import Platform
from movierec_assets.settings import Settings, settings

FILES = ("dagster.yaml", "workspace.yaml")
IN_URLS = "%?"  # what SQLAlchemy decodes or takes for options in the URL of an SQLite file


def home_folder() -> Path:
    """The home that commands set up and run: MOVIEREC_HOME, else the current folder."""
    return Path(os.environ.get("MOVIEREC_HOME") or Path.cwd()).expanduser().resolve()


def load_env() -> None:
    """Have in the environment what the `.env` of Dagster's home says, as Dagster's processes do."""
    load_dotenv(Path(os.environ.get("DAGSTER_HOME", ".")) / ".env")


def set_up(root: Path) -> Settings:
    """Write `root`/.env where it lacks something, then open Dagster's instance, the warehouse and
    MLflow's database.

    Running it again changes nothing.

    Raises:
        HomeError: `root` cannot be a home.
    """
    home_settings = configure(root)
    create_databases(home_settings)
    return home_settings


def configure(root: Path) -> Settings:
    """Write `root`/.env where it lacks something, and read the settings; no database is touched.

    Keeps what stands in .env, but for DAGSTER_HOME, which follows the folder if it was moved.

    Raises:
        HomeError: `root` cannot be a home.
    """
    for name in FILES:
        if not (root / name).is_file():
            raise HomeError(
                f"{root / name} is missing: run this in movierec's folder, or copy "
                f"{' and '.join(FILES)} from there to make {root} a home of its own"
            )
    _check_path(root)
    _write_env(root / ".env", root)
    load_dotenv(root / ".env", override=True)  # as Dagster's processes do
    settings.cache_clear()
    home_settings = settings()
    _check_path(home_settings.warehouse)
    return home_settings


def create_databases(home_settings: Settings) -> None:
    """Open Dagster's instance, the warehouse and MLflow's database once, each by one process."""
    import dagster as dg

    Path(os.environ["MOVIEREC_DAGSTER_DIR"]).mkdir(parents=True, exist_ok=True)
    with dg.DagsterInstance.get() as instance:
        instance.get_runs(limit=1)
    adapters = Platform.of(home_settings)
    with adapters.warehouse.connect():
        pass
    adapters.model_registry.initialise()
    adapters.model_registry.keep_records()
    (home_settings.warehouse / "landing" / "ratings").mkdir(parents=True, exist_ok=True)


def _check_path(folder: Path) -> None:
    """Refuse a place that Dagster and MLflow would not find again: neither escapes a path."""
    path = str(folder.resolve())
    if any(character in path for character in IN_URLS):
        raise HomeError(
            f"{path}: a % or ? in the path means something else in the URLs by which Dagster and "
            "MLflow open their SQLite databases: rename the folder, or move movierec to another"
        )


def _write_env(path: Path, root: Path) -> None:
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # it holds the token
    known = dotenv_values(path)
    home = str(root.resolve())
    wanted = {
        "DAGSTER_HOME": home,
        "MOVIEREC_DAGSTER_DIR": str(root.resolve() / "warehouse" / "dagster"),
    }
    if not known.get("MOVIEREC_RELOAD_TOKEN"):
        wanted["MOVIEREC_RELOAD_TOKEN"] = secrets.token_urlsafe(32)
    for key, value in wanted.items():
        if known.get(key) != value:
            set_key(path, key, value, quote_mode="always")
    path.chmod(0o600)
