"""A lost or replaced registry made again: every recorded version under the number it had."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from movierec_assets.errors import RecoveryError
from movierec_assets.promotion.description import describe
from movierec_assets.resources.registry.mlflow_bundle import log_bundle
from movierec_assets.resources.registry.model_registry import ModelRegistry
from movierec_assets.resources.registry.registry_reader import EXPERIMENT, MODEL_NAME
from movierec_assets.resources.registry.version_records import VersionRecord
from movierec_serving.bundle import Bundle

SET_ASIDE = f"{MODEL_NAME}-replaced"  # what a replaced registry's model is renamed to, and a number
logger = logging.getLogger(__name__)


def rebuild(registry: ModelRegistry, bundle_of: Callable[[str], Bundle | None]) -> list[int]:
    """Register every recorded version again, from 1 up, with its tags: verdicts, pins, revocations.

    What MLflow has instead is renamed and kept. MLflow counts by itself, so a number that was
    removed or is not known is created and deleted at once. A kill leaves a registry that
    `check_whole` refuses, and the next call begins anew.

    Args:
        bundle_of: the stored bundle of an identity, None where it is gone: the version then has
            its tags, and no artifacts.

    Returns:
        The numbers of the versions that there are now.
    """
    records = registry.records.all()
    registry.initialise()
    with registry.lock():
        if registry.versions():
            _set_aside(registry)
        for number in range(1, max(records, default=0) + 1):
            _register(registry, number, records.get(number), bundle_of)
        registry.check_whole()
    return [version.number for version in registry.versions()]


def _register(
    registry: ModelRegistry,
    number: int,
    record: VersionRecord | None,
    bundle_of: Callable[[str], Bundle | None],
) -> None:
    kept = record is not None and record.removed is None
    bundle = bundle_of(record.identity) if record is not None and kept else None
    created = _create(registry, number, record, bundle)
    if created != number and number == 1:  # deleted versions count, and cannot be seen
        _set_aside(registry)
        created = _create(registry, number, record, bundle)
    if created != number:
        raise RecoveryError(
            f"MLflow gave version {created} where {number} was to be made again: does another "
            "process register models? Stop the platform and run `movierec recover` again"
        )
    if not kept:
        registry.client().delete_model_version(MODEL_NAME, str(number))


def _create(
    registry: ModelRegistry, number: int, record: VersionRecord | None, bundle: Bundle | None
) -> int:
    """Create the next version in a run of its own; the number that MLflow gave it."""
    import mlflow

    client = registry.client()
    tags = dict(record.tags) if record is not None else {}
    lost = Path(registry.root, "bundles", tags.get("identity", "")).resolve()
    where: dict[str, Any] = {"source": lost.as_uri()}
    if bundle is not None and record is not None:
        mlflow.set_tracking_uri(registry.tracking_uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        assert experiment is not None  # `initialise` has made it
        name = tags.get("partition", str(number))
        run_tags = {**tags, "recovered": str(number)}
        with mlflow.start_run(
            experiment_id=experiment.experiment_id, run_name=name, tags=run_tags
        ) as run:
            model = log_bundle(client, run.info.run_id, bundle, record.metrics)
        where = {
            "source": model.model_uri,
            "run_id": run.info.run_id,
            "model_id": model.model_id,
        }
    text = describe(tags, record.metrics if record is not None else {})
    created = client.create_model_version(MODEL_NAME, tags=tags, description=text, **where)
    return int(created.version)


def _set_aside(registry: ModelRegistry) -> None:
    """Rename the registered model, with all its versions, and begin an empty one."""
    from mlflow.exceptions import MlflowException

    client = registry.client()
    for attempt in range(1, 1000):
        try:
            client.rename_registered_model(MODEL_NAME, f"{SET_ASIDE}-{attempt}")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        else:
            logger.warning("MLflow's versions were set aside as %s-%d", SET_ASIDE, attempt)
            break
    registry.create_model()
