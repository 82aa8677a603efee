"""Reload: check a version thoroughly once, then commit it for every process."""

import json
import logging
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from movierec_serving import metrics, tracing
from movierec_serving.bundle.files import replace_file
from movierec_serving.bundle.production import named_production
from movierec_serving.bundle.publications import Publications
from movierec_serving.errors import PointerError, ReloadRefusedError
from movierec_serving.model.arms import versions_of
from movierec_serving.model.cache import make_ready
from movierec_serving.model.pointer import Pointer

logger = logging.getLogger(__name__)

LOCK_TIMEOUT = 60.0  # seconds that a reload waits for the one before it
# Newest in the store: as many nights can be rolled back without publishing again.
KEPT_VERSIONS = 10
POINTER = re.compile(r"\.serving-\d+")


@dataclass(frozen=True)
class ReloadOutcome:
    """What a reload did; `previous` is None when nothing had been committed."""

    version: int
    previous: int | None
    changed: bool


def reload(
    store: Path,
    pointer: Pointer,
    version: int,
    before: Callable[[int], None] = lambda version: None,
    shared: Publications | None = None,
) -> ReloadOutcome:
    """Make `version` the one committed in `pointer`; counted, and told by `last_reload`.

    One at a time, over all processes. Older versions are welcome: that is a rollback.

    Args:
        before: what else has to be done for a version that stood its check, before it is committed.
        shared: the object store that versions come from; None where `store` has them.

    Raises:
        ReloadRefusedError: the one before is untouched.
    """
    started, at = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    result, cause = "refused", None
    try:
        with tracing.span("reload", version=version):
            done = _reload(store, pointer, version, before, shared)
        result = "changed" if done.changed else "unchanged"
        return done
    except ReloadRefusedError as error:
        result, cause = error.result, str(error)
        raise
    finally:
        metrics.count(metrics.RELOADS, result)
        seconds = round(time.perf_counter() - started, 3)
        last = {"at": at, "version": version, "result": result, "seconds": seconds, "cause": cause}
        replace_file(_beside(pointer.path, "last"), json.dumps(last).encode())


def begin_on_production(store: Path, pointer: Pointer, shared: Publications | None = None) -> None:
    """Commit the version that the store names, if none is committed, so that a new endpoint serves
    at once.

    It is checked as by any reload. One that is refused is logged, and the endpoint begins without.

    Raises:
        StoreError: the object store does not say which.
    """
    if pointer.load():
        return
    version = named_production(store) if shared is None else shared.production()
    if version is None:
        return
    try:
        reload(store, pointer, version, shared=shared)
    except ReloadRefusedError as error:
        logger.warning("the store names version %d, which is refused: %s", version, error)


def last_reload(path: Path) -> dict[str, Any] | None:
    try:
        last: dict[str, Any] = json.loads(_beside(path, "last").read_bytes())
    except (OSError, ValueError):
        return None
    return last


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}.{suffix}")


def _reload(
    store: Path,
    pointer: Pointer,
    version: int,
    before: Callable[[int], None],
    shared: Publications | None,
) -> ReloadOutcome:
    try:
        with FileLock(_beside(pointer.path, "lock"), timeout=LOCK_TIMEOUT):
            if pointer.replaced():  # storing into either file would not reach every process
                raise ReloadRefusedError(
                    "refused", 503, "the pointer's file was replaced: restart the endpoint"
                )
            previous = pointer.load() or None
            if previous == version:
                return ReloadOutcome(version, previous, changed=False)
            make_ready(store, version, shared)
            before(version)
            pointer.store(version)
            try:
                _prune(store, keep={version, previous or version})
            except OSError as error:  # the new version is committed all the same
                logger.warning("old versions were not removed: %s", error)
    except Timeout:
        raise ReloadRefusedError(
            "busy", 503, f"another reload has run for {LOCK_TIMEOUT:.0f} s"
        ) from None
    after = previous or "none"
    logger.info("committed version %d, after %s", version, after, extra={"version": version})
    return ReloadOutcome(version, previous, changed=True)


def _prune(store: Path, keep: set[int]) -> None:
    """Keep the newest versions, what `keep` says, what any endpoint of this store has committed,
    and what a new one begins with.

    Whoever has an older one open keeps its pages; it can be published again from its bundle.
    """
    keep |= {named_production(store) or 0, *versions_in_use(store)}
    versions = sorted(int(path.name) for path in store.iterdir() if path.name.isdecimal())
    for version in versions[:-KEPT_VERSIONS]:
        if version not in keep:
            logger.info("removed version %d from the store", version)
            shutil.rmtree(store / str(version), ignore_errors=True)


def versions_in_use(store: Path) -> set[int]:
    """What any endpoint of this store has committed, and its arms."""
    versions = versions_of(store)
    for pointer in store.glob(".serving-*"):
        if POINTER.fullmatch(pointer.name):
            with suppress(PointerError):  # a broken one has nothing committed
                versions.add(Pointer.open(pointer).load())
    return versions
