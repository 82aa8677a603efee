"""A home in one tar file, taken while the platform runs; what is in it can be checked by itself.

The databases come first, each as of one moment, those that refer to others before those that they
refer to; then the files, which are only ever added or replaced as a whole. So each row of a
database names a file that is in the archive.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Literal

from filelock import FileLock, Timeout

from movierec_assets.errors import BackupError, InUseError
from movierec_assets.maintenance.contents import (
    CONFIGURATION,
    databases_of,
    files_of,
    settings_of,
    snapshot_sqlite,
)
from movierec_assets.platform import Platform
from movierec_serving.bundle.documents import seal

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
# By the file's suffix.
MODES: dict[str, Literal["w", "w:gz"]] = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz"}
COMPRESSION = 6  # of factors: 9, tarfile's default, takes ten times the CPU to save 2 %
SETTINGS = "home/settings.env"
RELEASE = version("movierec")


@dataclass
class Manifest:
    """What an archive holds: sha256 and bytes of each member, in the order they were added."""

    made_at: str
    movierec: str
    secrets: bool
    files: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self.files.values())


@contextmanager
def maintenance(warehouse: Path) -> Iterator[None]:
    """Let one at a time work: a backup must not copy what a prune beside it removes.

    Raises:
        InUseError: another one is under way.
    """
    try:
        with FileLock(warehouse / "maintenance.lock", timeout=0):
            yield
    except Timeout:
        raise InUseError("another backup, prune, forget or recovery is under way") from None


def back_up(platform: Platform, file: Path, *, secrets: bool = False) -> Manifest:
    """Write everything that the platform keeps into `file` (.tar, .tar.gz or .tgz).

    Args:
        secrets: also the token and whatever else .env holds.

    Raises:
        BackupError: the file exists already, has another suffix, or lies in the warehouse.
        InUseError: another backup, prune, forget or recovery is under way.
    """
    mode = MODES.get(file.suffix)
    if mode is None:
        raise BackupError(f"{file}: expected a name that ends in .tar, .tar.gz or .tgz")
    warehouse = platform.settings.warehouse
    if file.resolve().is_relative_to(warehouse.resolve()):
        raise BackupError(f"{file} would be part of the next backup: write it outside {warehouse}")
    manifest = Manifest(datetime.now(UTC).isoformat(timespec="seconds"), RELEASE, secrets)
    fresh, staging = (file.with_name(f".{file.name}.{what}") for what in ("part", "databases"))
    with maintenance(warehouse):
        if file.exists():
            raise BackupError(f"{file} is there already: a backup overwrites nothing")
        try:
            _clear(fresh, staging)  # of one that was killed
            staging.mkdir(mode=0o700)
            with open(fresh, "xb", opener=_for_its_owner) as written:
                with _archive(written, mode) as tar:
                    _fill(tar, manifest, platform, staging, secrets=secrets)
                written.flush()
                os.fsync(written.fileno())
            fresh.rename(file)
        finally:
            _clear(fresh, staging)
    return manifest


def _archive(file: IO[bytes], mode: Literal["w", "w:gz"]) -> tarfile.TarFile:
    if mode == "w":
        return tarfile.open(fileobj=file, mode=mode, format=tarfile.PAX_FORMAT)
    return tarfile.open(
        fileobj=file, mode=mode, format=tarfile.PAX_FORMAT, compresslevel=COMPRESSION
    )


def _clear(fresh: Path, staging: Path) -> None:
    fresh.unlink(missing_ok=True)
    shutil.rmtree(staging, ignore_errors=True)


def _for_its_owner(path: str, flags: int) -> int:
    """What people rated, and with `secrets` the token, is nobody else's to read."""
    return os.open(path, flags, 0o600)


def _fill(
    tar: tarfile.TarFile, manifest: Manifest, platform: Platform, staging: Path, *, secrets: bool
) -> None:
    warehouse, home = platform.settings.warehouse, platform.settings.home
    for source in databases_of(warehouse):
        copy = staging / source.relative_to(warehouse)
        snapshot_sqlite(source, copy)
        _add(tar, manifest, copy, f"warehouse/{source.relative_to(warehouse)}")
        copy.unlink()
    tables = staging / "movierec.duckdb"
    platform.warehouse.snapshot(tables)
    _add(tar, manifest, tables, "warehouse/movierec.duckdb")
    for path in files_of(warehouse):
        try:
            _add(tar, manifest, path, f"warehouse/{path.relative_to(warehouse)}")
        except FileNotFoundError:  # an old publication that an endpoint has just removed
            continue
    for name in CONFIGURATION:
        if (home / name).is_file():
            _add(tar, manifest, home / name, f"home/{name}")
    lines = settings_of(home / ".env", secrets=secrets)
    text = "".join(f"{key}={value}\n" for key, value in lines.items())
    _add_text(tar, SETTINGS, text, manifest)
    _add_text(tar, MANIFEST, seal({"format_version": FORMAT_VERSION, **asdict(manifest)}))


def _add(tar: tarfile.TarFile, manifest: Manifest, path: Path, name: str) -> None:
    """Add a file; a second name of the same file becomes a link to the first."""
    with path.open("rb") as file:
        member = tar.gettarinfo(arcname=name, fileobj=file)
        if member.islnk():
            tar.addfile(member)
            manifest.files[name] = manifest.files[member.linkname]
            return
        hashed = _Hashed(file)
        tar.addfile(member, hashed)
        manifest.files[name] = (hashed.sha256.hexdigest(), member.size)


def _add_text(tar: tarfile.TarFile, name: str, text: str, manifest: Manifest | None = None) -> None:
    content = text.encode()
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    tar.addfile(member, io.BytesIO(content))
    if manifest is not None:
        manifest.files[name] = (hashlib.sha256(content).hexdigest(), len(content))


class _Hashed(io.RawIOBase):
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.sha256 = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        part = self._file.read(size)
        self.sha256.update(part)
        return part
