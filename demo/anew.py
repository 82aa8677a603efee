"""What must hold before the demo starts: it empties a warehouse that only a demo has filled.

Any other warehouse, and settings that would lead to other data, are refused before anything is
touched.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from dotenv import dotenv_values

from movierec_assets.resources.stores.landing_zone import LandingZone

OWN_SETTINGS = {"DAGSTER_HOME", "MOVIEREC_DAGSTER_DIR", "MOVIEREC_RELOAD_TOKEN"}
PORTS = {"MOVIEREC_SERVING_PORT", "MOVIEREC_MLFLOW_PORT"}  # the demo takes free ones instead
KEPT = {"migrations", "cache", "platform.lock"}  # of the warehouse, when the demo starts anew


class DemoError(RuntimeError):
    """A step failed; the message says which, and where its log is."""


def start_anew(root: Path) -> None:
    """Empty a warehouse that only an earlier demo filled, so that the demo works twice.

    Raises:
        DemoError: a chunk in it is none that a demo delivered, or .env has settings that the demo
        must choose.
    """
    _refuse_settings(root)
    warehouse = root / "warehouse"
    # Beside each archived file stands a record of it, named as it is and .json.
    archived = {file.stem for file in (warehouse / "chunks").glob("*/*")}
    others = (archived | _digests(warehouse / "landing")) - _digests(Path(staged(warehouse).path))
    if others:
        raise DemoError(
            f"{warehouse} holds {len(others)} files of ratings or movies that are not the demo's; "
            "nothing was touched. Run the demo in another clone, or move the warehouse's content "
            "away"
        )
    for entry in warehouse.iterdir():
        if entry.name in KEPT:
            continue
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def staged(warehouse: Path) -> LandingZone:
    """Where the demo keeps the data set by day; also what tells its chunks from others'."""
    return LandingZone(path=str(warehouse / "cache" / "demo"))


def _refuse_settings(root: Path) -> None:
    given = {*dotenv_values(root / ".env"), *os.environ}
    foreign = sorted(
        key
        for key in given - OWN_SETTINGS - PORTS
        if key.startswith(("MOVIEREC_", "MLFLOW_TRACKING_URI"))
    )
    if foreign:
        raise DemoError(
            f"{', '.join(foreign)}: set in .env or the environment, and would lead the demo to "
            "other data; run it without, in a fresh clone"
        )


def _digests(landing: Path) -> set[str]:
    """sha256 of the files in a landing zone."""
    files = [*(landing / "ratings").glob("*.*"), *landing.glob("movies.csv")]
    return {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
