"""What MLflow's registry has: versions of one model, and which of them is production.

Nothing here changes it; that is `model_registry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from movierec_assets.errors import RegistryLostError, RemovedError
from movierec_assets.promotion.version import Version
from movierec_assets.resources.registry.pages import TRAINING, VIEW
from movierec_assets.resources.registry.version_records import REMOVED, VersionRecords
from movierec_assets.resources.registry.version_tags import VersionTags

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_NAME = "movierec"
EXPERIMENT = "movierec"
ALIAS = "production"


class RegistryReader(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Versions of `movierec`, one for each model identity."""

    tracking_uri: str
    root: str  # the warehouse's folder
    ui: str = "http://127.0.0.1:5000"  # where a person looks at MLflow

    def client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)

    @property
    def records(self) -> VersionRecords:
        """What each number was given to, beside MLflow."""
        return VersionRecords(Path(self.root))

    def page(self, number: int) -> str:
        """The address of MLflow's page about a version."""
        return f"{self.ui}/#/models/{MODEL_NAME}/versions/{number}?{TRAINING}"

    def run_page(self, version: Version) -> str:
        """The address of MLflow's page about the run that made a version."""
        return f"{self._runs}/{version.run_id}?{TRAINING}"

    def runs_page(self) -> str:
        """The address of MLflow's table of the days' runs, newest day first."""
        return f"{self._runs}?viewStateShareKey={VIEW}&{TRAINING}"

    @cached_property
    def _runs(self) -> str:
        experiment = self.client().get_experiment_by_name(EXPERIMENT)
        number = experiment.experiment_id if experiment else "0"
        return f"{self.ui}/#/experiments/{number}/runs"

    def versions(self) -> list[Version]:
        """All complete versions that were not removed, oldest first."""
        return [
            version_of(number, run, tags)
            for number, (run, tags) in VersionTags(self.client(), MODEL_NAME).all().items()
            if "identity" in tags and REMOVED not in tags
        ]

    def find(self, identity: str) -> Version | None:
        """The version of a model identity, or None."""
        page = self.client().search_model_versions(
            f"name='{MODEL_NAME}' and tag.identity='{identity}'"
        )
        return min(
            (as_version(recorded) for recorded in page),
            key=lambda version: version.number,
            default=None,
        )

    def get(self, number: int) -> Version:
        """A version by its number; MLflow's error if it does not exist.

        Raises:
            RemovedError: its files were removed on purpose.
        """
        record = self.records.get(number)
        if record is not None and record.removed is not None:
            raise RemovedError(f"version {number} was removed: {record.removed}")
        return as_version(self.client().get_model_version(MODEL_NAME, str(number)))

    def production(self) -> Version | None:
        """The version that the alias names; None if there is none, or no model yet."""
        from mlflow.exceptions import MlflowException

        try:
            aliases = self.client().get_registered_model(MODEL_NAME).aliases
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return self.get(int(aliases[ALIAS])) if ALIAS in aliases else None

    def artifacts(self, number: int) -> str | None:
        """Where MLflow keeps a version's files (a URI or path); None if it has none."""
        from mlflow.exceptions import MlflowException

        try:
            return self.client().get_model_version_download_uri(MODEL_NAME, str(number))
        except MlflowException:
            return None

    def check_whole(self) -> None:
        """Compare MLflow with the newest version that was recorded.

        Raises:
            RegistryLostError: MLflow does not have it, or another model has its number.
        """
        from mlflow.exceptions import MlflowException

        newest = self.records.newest_kept()
        if newest is None:
            return
        try:
            identity = self.get(newest.number).identity
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            identity = "missing"
        if identity != newest.identity:
            raise RegistryLostError(
                f"MLflow's registry was lost or replaced: version {newest.number} is "
                f"{newest.identity[:12]} by its record, {identity[:12]} in MLflow; run "
                "`movierec recover`. Nothing was changed, the endpoints keep what they serve"
            )


def as_version(recorded: Any) -> Version:
    """MLflow's version as ours."""
    return version_of(int(recorded.version), recorded.run_id, dict(recorded.tags))


def version_of(number: int, run_id: str, tags: Mapping[str, str]) -> Version:
    return Version(number, tags.get("identity", ""), tags.get("data_until", ""), run_id, tags)
