"""What of a home is kept in a backup, and what is not: locks, caches, half-written files, secrets.

Databases are not copied as files: a snapshot of each is taken by its own means.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import get_args

from dotenv import dotenv_values
from pydantic import SecretStr

from movierec_assets.settings import Settings
from movierec_serving.settings import ServingSettings

LEFT_OUT = {"migrations", "cache", "logs"}  # of warehouse/: the program's, downloads, the demo's
LANDING = "landing"  # of warehouse/: people drop what they like there, such as a Thumbs.db
CONFIGURATION = ("dagster.yaml", "workspace.yaml")
STAGED = re.compile(r"\.(tmp|old)-|\.[^/]+\.[0-9a-f]{12}$")  # a write that is under way, or died
DATABASE = (".db", ".duckdb")
BESIDE = ("-wal", "-shm", "-journal", ".wal", ".lock")  # of a database, or held by a process
PRIVATE = ("forget.id", "forget.id.part")  # holds the id of a user who is being forgotten
MADE_ANEW = ("fresh-users",)  # as an endpoint starts
PUBLIC = {  # settings of both programs, as .env names them, but for the home's own place
    alias if isinstance(alias := field.validation_alias, str) else f"MOVIEREC_{name.upper()}"
    for model in (Settings, ServingSettings)
    for name, field in model.model_fields.items()
    if name != "home" and SecretStr not in (field.annotation, *get_args(field.annotation))
}


def files_of(warehouse: Path) -> Iterator[Path]:
    """Every file that a backup copies as it is, in a fixed order."""
    for folder, folders, names in os.walk(warehouse):
        at = Path(folder)
        left_out = LEFT_OUT if at == warehouse else set()
        folders[:] = sorted(
            folder for folder in folders if folder not in left_out and not _staged(folder)
        )
        others = BESIDE if at.is_relative_to(warehouse / LANDING) else (*DATABASE, *BESIDE)
        for name in sorted(names):
            path = at / name
            if _staged(name) or name.endswith(others) or name in (*PRIVATE, *MADE_ANEW):
                continue
            if path.is_file() and not path.is_symlink():
                yield path


def databases_of(warehouse: Path) -> list[Path]:
    """Every SQLite file, those that refer to others first: runs to versions, versions to days."""
    databases = [
        file
        for file in sorted(warehouse.rglob("*.db"))
        if file.relative_to(warehouse).parts[0] not in {*LEFT_OUT, LANDING}
    ]
    return sorted(databases, key=lambda file: file.relative_to(warehouse).parts[0] != "dagster")


def snapshot_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite file as it is at one moment, while others write to it.

    Raises:
        sqlite3.Error: it cannot be copied; names the file, which SQLite does not.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            closing(sqlite3.connect(source, timeout=60)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing)
    except sqlite3.Error as error:
        raise type(error)(f"{source}: {error}") from error


def settings_of(env: Path, *, secrets: bool) -> dict[str, str]:
    """The settings in a .env: those that are known not to be secret, or all."""
    values = dotenv_values(env) if env.is_file() else {}
    return {
        key: value
        for key, value in values.items()
        if value is not None and (secrets or key in PUBLIC)
    }


def _staged(name: str) -> bool:
    return STAGED.match(name) is not None
