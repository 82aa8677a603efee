"""A home made from a backup, at the same path or another one; checked before it takes its place."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values, set_key

from movierec_assets.errors import BackupError
from movierec_assets.maintenance.backup import FORMAT_VERSION, MANIFEST, SETTINGS
from movierec_assets.maintenance.contents import CONFIGURATION, LEFT_OUT
from movierec_assets.resources.registry.registry_reader import EXPERIMENT
from movierec_assets.resources.registry.relocation import relocate
from movierec_assets.resources.warehouse.duckdb_file import MIGRATIONS
from movierec_serving.bundle import BundleError
from movierec_serving.bundle.array_files import sha256_of
from movierec_serving.bundle.documents import unseal
from movierec_serving.bundle.files import staged_directory

STORES = ("landing/ratings", "chunks", "bundles", "versions")  # anything here is somebody's data
OF_THE_PLACE = ("DAGSTER_HOME", "MOVIEREC_DAGSTER_DIR", "MOVIEREC_HOME")  # set-up writes them


def restore(file: Path, home: Path) -> int:
    """Unpack a backup into `home`, whose warehouse must be empty or as set-up leaves it.

    Everything is unpacked beside and checked against the manifest, then the warehouse takes its
    place in one step. A kill leaves the warehouse as it was, perhaps settings and files that `home`
    lacked, and a folder `.tmp-warehouse-…` that the next call removes. Only one may restore into a
    home at a time.

    Returns:
        How many files there are.

    Raises:
        BackupError: the archive is cut short, altered, or would write outside the home; or `home`
            holds data.
    """
    warehouse = home / "warehouse"
    paths = ((store, path) for store in STORES for path in (warehouse / store).rglob("*"))
    held = next((store for store, path in paths if path.is_file()), None)
    if held is not None:
        raise BackupError(f"{warehouse / held} holds data: restore into an empty home (--to)")
    home.mkdir(parents=True, exist_ok=True)
    for left in home.glob(".tmp-warehouse-*"):  # by one that was killed: all that anybody rated
        shutil.rmtree(left)
    with staged_directory(warehouse) as staged:
        try:
            with _opened(file) as tar:
                count = _unpack(tar, staged)
        except (OSError, EOFError, tarfile.TarError, BundleError, BackupError) as error:
            raise BackupError(f"{file}: {error}") from error
        configuration = staged / "home"
        database = staged / "warehouse" / "mlflow.db"
        if database.is_file():
            relocate(database, EXPERIMENT, warehouse)
        for name in CONFIGURATION:
            if (configuration / name).is_file() and not (home / name).exists():
                shutil.copyfile(configuration / name, home / name)
        _settings(configuration / Path(SETTINGS).name, home / ".env")
        _become(staged, warehouse)
    return count


def _opened(file: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(file, "r:*")
    except tarfile.ReadError as error:  # five lines, one for each way to pack
        raise BackupError("not a tar archive, so no backup") from error


def _unpack(tar: tarfile.TarFile, folder: Path) -> int:
    """Every member into `folder`, then compared with the manifest, which comes last."""
    unpacked: set[str] = set()
    for member in tar:
        if not (member.isreg() or member.islnk()):
            raise BackupError(f"{member.name} is neither a file nor a link to one")
        if not _belongs(member.name):
            raise BackupError(f"{member.name} is not part of a home")
        if member.islnk() and member.linkname not in unpacked:
            raise BackupError(f"{member.name} links to what is not in the archive")
        tar.extract(member, folder, filter="data")  # refuses paths that lead out of the folder
        unpacked.add(member.name)
    if MANIFEST not in unpacked:
        raise BackupError("it has no manifest, so it was cut short")
    document = unseal((folder / MANIFEST).read_bytes(), MANIFEST, [FORMAT_VERSION])
    files: Mapping[str, Any] = document["files"]
    if unpacked - {MANIFEST} != set(files):
        odd = sorted((unpacked - {MANIFEST}) ^ set(files))
        raise BackupError(f"not what its manifest says: {', '.join(odd[:5])}")
    for name, (sha256, size) in files.items():
        path = folder / name
        if path.stat().st_size != size or sha256_of(path) != sha256:
            raise BackupError(f"{name} was altered, its sha256 is not the manifest's")
    return len(files)


def _belongs(name: str) -> bool:
    """Whether a member may be there: a file of the warehouse that is not the program's own."""
    parts = Path(name).parts
    kept = len(parts) > 1 and parts[0] == "warehouse" and parts[1] not in LEFT_OUT
    return kept or name in (MANIFEST, SETTINGS, *(f"home/{file}" for file in CONFIGURATION))


def _become(staged: Path, before: Path) -> None:
    """Make the unpacked archive the warehouse itself: its files one level up, what a backup leaves
    out taken from the program and from the warehouse before.
    """
    inner = staged / "warehouse"
    shutil.rmtree(staged / "home")
    (staged / MANIFEST).unlink()
    for path in list(inner.iterdir()) if inner.is_dir() else []:
        path.rename(staged / path.name)
    if inner.is_dir():
        inner.rmdir()
    shutil.copytree(MIGRATIONS, staged / "migrations")
    if (before / "cache").is_dir():  # downloads
        shutil.copytree(before / "cache", staged / "cache", copy_function=os.link)


def _settings(archived: Path, env: Path) -> None:
    """Add the settings that `env` lacks; what stands there is the operator's, and stays."""
    if not env.exists():
        env.touch(mode=0o600)
    known = dotenv_values(env)
    for key, value in dotenv_values(archived).items():
        if value is not None and key not in known and key not in OF_THE_PLACE:
            set_key(env, key, value, quote_mode="always")
