"""How many bytes each store takes, a file that has several names counted once."""

from __future__ import annotations

import os
from pathlib import Path

from movierec_assets.platform import Platform
from movierec_serving.bundle import StoreError

# In this order: a bundle's files have names in `mlflow` and `models`, too, where they cost nothing.
STORES = ("landing", "chunks", "movierec.duckdb", "bundles", "twins", "models", "mlflow")


def bytes_by_store(warehouse: Path) -> dict[str, int]:
    """Bytes on the disk of each entry of `warehouse`, the program's migrations left out."""
    seen: set[tuple[int, int]] = set()
    names = {entry.name for entry in os.scandir(warehouse)} if warehouse.is_dir() else set()
    others = sorted(names - set(STORES) - {"migrations"})
    sizes = {name: _bytes(warehouse / name, seen) for name in (*STORES, *others) if name in names}
    return {name: size for name, size in sizes.items() if size}


def in_words(sizes: dict[str, int]) -> str:
    """`bundles 28.1 MB, …`, the largest first."""
    ordered = sorted(sizes.items(), key=lambda item: -item[1])
    parts = [f"{name} {size / 1e6:,.1f} MB" for name, size in ordered if size >= 100_000]
    return ", ".join([f"{sum(sizes.values()) / 1e6:,.1f} MB in all", *parts])


def shared_in_words(platform: Platform) -> str | None:
    """`s3://…: 365 chunks, 28.1 MB, …`; None where there is no object store."""
    archive, files = platform.chunk_archive.shared, platform.home_files.shared
    bundles = platform.bundle_store.shared
    if archive is None or files is None or bundles is None:
        return None
    try:
        chunks, size = len(archive.names()), archive.contents().size
        others, models = files.contents(), bundles.contents()
    except StoreError as error:
        return str(error)
    return (
        f"{platform.settings.object_store}: {chunks} archived chunks with their receipts, "
        f"{size / 1e6:,.1f} MB, {len(others.files)} other files of this home, "
        f"{others.size / 1e6:,.1f} MB, {len(models.files)} bundles and twins, "
        f"{models.size / 1e6:,.1f} MB, and the published versions"
    )


def _bytes(path: Path, seen: set[tuple[int, int]]) -> int:
    total = 0
    for folder, _, names in os.walk(path) if path.is_dir() else [(path.parent, (), [path.name])]:
        for name in names:
            try:
                status = (Path(folder) / name).lstat()
            except FileNotFoundError:  # removed meanwhile
                continue
            if (key := (status.st_dev, status.st_ino)) not in seen:
                seen.add(key)
                total += status.st_blocks * 512
    return total
