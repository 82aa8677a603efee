"""Versions of the object store in this endpoint's own folder: brought when they are asked for."""

import logging
import shutil
from collections.abc import Container
from pathlib import Path

from movierec_serving.bundle.publications import Publications
from movierec_serving.errors import BundleError, ReloadRefusedError, StoreError
from movierec_serving.model.inspection import inspect

logger = logging.getLogger(__name__)


def make_ready(models: Path, version: int, shared: Publications | None) -> None:
    """Have a version in the folder, whole and checked, so that it may be served.

    Args:
        shared: where a version is brought from if it is missing here, is another one than the
            published one, or does not stand its check; None where the folder is all there is.

    Raises:
        ReloadRefusedError: it is not there, cannot be brought, or does not stand its check.
    """
    brought = _bring(models, version, shared) if shared is not None else False
    if not (models / str(version)).is_dir():
        raise ReloadRefusedError("missing", 404, f"version {version} is not in the store")
    try:
        try:
            inspect(models, version)
        except BundleError as error:
            if brought or shared is None or not _bring(models, version, shared, anew=True):
                raise
            logger.warning("version %d was brought again: %s", version, error)
            inspect(models, version)
    except BundleError as error:
        logger.warning("refused version %d: %s", version, error, extra={"version": version})
        raise ReloadRefusedError("refused", 409, str(error)) from error


def _bring(models: Path, version: int, shared: Publications, *, anew: bool = False) -> bool:
    """Whether the version was brought; a sound copy serves on while the store does not answer."""
    try:
        index = shared.index(version)
        if index is None:
            raise ReloadRefusedError("missing", 404, f"version {version} is not in the store")
        if not anew and index.fits(models / str(version)):
            return False
        shared.bring(models, version, index)
    except StoreError as error:
        if (models / str(version)).is_dir():
            logger.warning("version %d is taken as it is here: %s", version, error)
            return False
        raise ReloadRefusedError("refused", 503, str(error)) from error
    except OSError as error:
        cause = f"version {version} cannot be kept here: {error.strerror or error}"
        raise ReloadRefusedError("refused", 503, cause) from error
    logger.info("brought version %d", version, extra={"version": version})
    return True


def drop_removed(models: Path, in_use: Container[int], shared: Publications) -> None:
    """Remove the versions that the store no longer has: a user who was forgotten is in no copy."""
    for folder in models.iterdir():
        if not folder.name.isdecimal() or int(folder.name) in in_use:
            continue
        if shared.index(int(folder.name)) is None:
            logger.info("removed version %s: the store no longer has it", folder.name)
            shutil.rmtree(folder, ignore_errors=True)
