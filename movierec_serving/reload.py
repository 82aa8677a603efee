"""Reload: check a version thoroughly once, then commit it for every process."""

import json
import logging
import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from movierec_serving.bundle import TOP_N, BundleError, Evidence, PublishedModel, kernel, selection
from movierec_serving.bundle.files import replace_text
from movierec_serving.metrics import RELOADS
from movierec_serving.pointer import Pointer, PointerError

logger = logging.getLogger(__name__)

LOCK_TIMEOUT = 60.0  # seconds that a reload waits for the one before it
KEPT_VERSIONS = 10  # newest in the store; as many nights can be rolled back without publishing again
POINTER = re.compile(r"\.serving-\d+")
CANARIES = 8  # users whose answers are computed before a version is committed


class ReloadRefused(Exception):
    """Nothing was changed; the message is the cause."""

    def __init__(self, result: str, status: int, cause: str) -> None:
        super().__init__(cause)
        self.result, self.status = result, status


@dataclass(frozen=True)
class Reload:
    """What a reload did; `previous` is None when nothing had been committed."""

    version: int
    previous: int | None
    changed: bool


def reload(store: Path, path: Path, version: int) -> Reload:
    """Make `version` the one committed in the pointer at `path`; counted, and told by `last_reload`.

    One at a time, over all processes. Older versions are welcome: that is a rollback.

    Raises:
        ReloadRefused: the one before is untouched.
    """
    started, at = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    result, cause = "refused", None
    try:
        done = _reload(store, path, version)
        result = "changed" if done.changed else "unchanged"
        return done
    except ReloadRefused as error:
        result, cause = error.result, str(error)
        raise
    finally:
        RELOADS.labels(result).inc()
        seconds = round(time.perf_counter() - started, 3)
        last = {"at": at, "version": version, "result": result, "seconds": seconds, "cause": cause}
        replace_text(path.with_name(f"{path.name}.last"), json.dumps(last))


def last_reload(path: Path) -> dict[str, Any] | None:
    try:
        last: dict[str, Any] = json.loads(path.with_name(f"{path.name}.last").read_bytes())
    except (OSError, ValueError):
        return None
    return last


def _reload(store: Path, path: Path, version: int) -> Reload:
    pointer = Pointer.open(path)
    try:
        with FileLock(path.with_name(f"{path.name}.lock"), timeout=LOCK_TIMEOUT):
            previous = pointer.load() or None
            if previous == version:
                return Reload(version, previous, changed=False)
            check(store, version)
            pointer.store(version)
            try:
                _prune(store, keep={version, previous or version})
            except OSError as error:  # the new version is committed all the same
                logger.warning("old versions were not removed: %s", error)
    except Timeout:
        raise ReloadRefused("busy", 503, f"another reload has run for {LOCK_TIMEOUT:.0f} s") from None
    logger.info("committed version %d, after %s", version, previous or "none")
    return Reload(version, previous, changed=True)


def check(store: Path, version: int) -> None:
    """Every byte, which also warms the page cache, and the answers of a few users."""
    if not (store / str(version)).is_dir():
        raise ReloadRefused("missing", 404, f"version {version} is not in the store")
    try:
        model = PublishedModel.open(store, version, verify=True)
        _answer_canaries(model)
    except (BundleError, OSError) as error:
        logger.warning("refused version %d: %s", version, error)
        raise ReloadRefused("refused", 409, str(error).replace(f"{store}{os.sep}", "")) from error


def _answer_canaries(model: PublishedModel) -> None:
    bundle = model.bundle
    users = np.unique(np.linspace(0, len(bundle.user_ids) - 1, CANARIES).astype(np.int64))
    expected, _ = kernel.recommend(bundle, users, TOP_N)
    for row, items in zip(users.tolist(), expected.tolist(), strict=True):
        (answer,) = selection.for_users(model, [row], TOP_N)
        listed = {item for item, _ in answer}
        # The kernel decides by float64, whose last bit may differ on the machine that published.
        if len(listed ^ {item for item in items if item >= 0}) > 2:
            raise BundleError(
                f"version {model.version}: the list of user row {row} is not what its factors say"
            )
        if listed & set(bundle.seen(row).tolist()):
            raise BundleError(f"version {model.version}: the list of user row {row} has a seen item")
    if not np.isfinite(Evidence.of_ratings(bundle, {0: 5.0}).factors()).all():
        raise BundleError(f"version {model.version}: a new user cannot be folded in")
    if len(kernel.popular(bundle, TOP_N)) == 0:
        raise BundleError(f"version {model.version}: no popular items")


def _prune(store: Path, keep: set[int]) -> None:
    """Keep the newest versions, what `keep` says, and what any endpoint of this store has committed.

    Whoever has an older one open keeps its pages; it can be published again from its bundle.
    """
    for pointer in store.glob(".serving-*"):
        if POINTER.fullmatch(pointer.name):
            with suppress(PointerError):  # a broken one has nothing committed
                keep.add(Pointer.open(pointer).load())
    versions = sorted(int(path.name) for path in store.iterdir() if path.name.isdecimal())
    for version in versions[:-KEPT_VERSIONS]:
        if version not in keep:
            logger.info("removed version %d from the store", version)
            shutil.rmtree(store / str(version), ignore_errors=True)
