"""What MLflow has of a version that was removed on purpose; its number and the reason stay known.

`ModelRegistry.announce_removal` comes first, so that whoever meets a gap finds out why, also after
a kill.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

from movierec_assets.resources.registry.model_registry import ModelRegistry
from movierec_assets.resources.registry.registry_reader import MODEL_NAME
from movierec_assets.resources.registry.version_records import GONE


def finish(registry: ModelRegistry, number: int) -> None:
    """Delete what MLflow has of an announced version: artifacts, logged model, run, version.

    Doing so again changes nothing. On an MLflow server of the user's own the artifacts stay until
    its `mlflow gc`.
    """
    from mlflow.exceptions import MlflowException

    client = registry.client()
    with registry.lock():
        try:
            version = client.get_model_version(MODEL_NAME, str(number))
        except MlflowException:  # a call before this one got that far
            registry.records.change(number, {GONE: "true"})
            return
        location = registry.artifacts(number)
        if location is not None and registry.local:
            folder = Path(unquote(urlsplit(location).path))
            if folder.is_relative_to(Path(registry.root).resolve() / "mlflow"):
                shutil.rmtree(folder, ignore_errors=True)
                shutil.rmtree(folder.parent, ignore_errors=True)  # the logged model's own
        for delete, key in (
            (client.delete_logged_model, getattr(version, "model_id", None)),
            (client.delete_run, version.run_id),
        ):
            try:
                if key:
                    delete(key)
            except MlflowException:  # deleted already
                continue
        client.delete_model_version(MODEL_NAME, str(number))
        registry.records.change(number, {GONE: "true"})
