"""Set-up: `.env`, and every database opened once, so that no two processes race to create it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from dotenv import dotenv_values, load_dotenv, set_key

from movierec_assets.platform import Platform
from movierec_assets.settings import Settings, settings


def set_up(root: Path) -> Settings:
    """Write `root`/.env where it lacks something, then open Dagster's instance, the warehouse and
    MLflow's database.

    Keeps what stands in .env, but for DAGSTER_HOME, which follows the folder if it was moved.
    Running it again changes nothing.

    Raises:
        FileNotFoundError: `root` is no checkout.
    """
    for name in ("dagster.yaml", "workspace.yaml"):
        if not (root / name).is_file():
            raise FileNotFoundError(f"{root / name} is missing: run this in movierec's folder")
    _write_env(root / ".env", root)
    load_dotenv(root / ".env", override=True)
    settings.cache_clear()
    chosen = settings()
    import dagster as dg

    Path(os.environ["MOVIEREC_DAGSTER_DIR"]).mkdir(parents=True, exist_ok=True)
    with dg.DagsterInstance.get() as instance:
        instance.get_runs(limit=1)
    adapters = Platform.of(chosen)
    with adapters.warehouse.connect():
        pass
    adapters.model_registry.initialise()
    (chosen.warehouse / "landing" / "ratings").mkdir(parents=True, exist_ok=True)
    return chosen


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
