"""Making MLflow's registry: its database, the experiment, the model, the records of versions."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from pathlib import Path

from movierec_assets.errors import RegistryLostError
from movierec_assets.resources.registry.pages import prepare_experiment
from movierec_assets.resources.registry.registry_lock import registry_lock
from movierec_assets.resources.registry.registry_reader import (
    EXPERIMENT,
    MODEL_NAME,
    RegistryReader,
)
from movierec_assets.resources.registry.relocation import relocate

logger = logging.getLogger(__name__)


class RegistrySetup(RegistryReader):
    """What is there before the first version, and after a loss."""

    def initialise(self) -> None:
        """Create MLflow's database, the experiment and the model, once; two processes at it would
        break the file.
        """
        from mlflow.exceptions import MlflowException

        Path(self.root).mkdir(parents=True, exist_ok=True)
        with self.lock():
            if self._database is not None and self._database.is_file():
                relocate(self._database, EXPERIMENT, Path(self.root))
            client = self.client()
            prepare_experiment(client, EXPERIMENT, self._artifacts)
            try:
                client.get_registered_model(MODEL_NAME)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                self.create_model()

    @property
    def local(self) -> bool:
        """Whether MLflow's artifacts are this home's own files."""
        return self._artifacts is not None

    @property
    def _artifacts(self) -> str | None:
        """Where MLflow's artifacts go: into the home, whatever database keeps its records; None
        where a server decides.
        """
        if self.tracking_uri.startswith(("http://", "https://")):
            return None
        return (Path(self.root).resolve() / "mlflow").as_uri()

    @property
    def _database(self) -> Path | None:
        """MLflow's own SQLite file; None where a server keeps it."""
        path = self.tracking_uri.removeprefix("sqlite:///")
        return Path(path) if path != self.tracking_uri else None

    def keep_records(self) -> None:
        """Record what MLflow has: versions of before there were records, and what a crash between
        MLflow and a record left out. Set-up does it, and a recovery.
        """
        try:
            self.check_whole()
        except RegistryLostError as lost:  # its versions are not the ones that have these numbers
            logger.error("%s", lost)
            return
        for version in self.versions():
            self.records.keep(version.number, version.tags)

    def create_model(self) -> None:
        """Create the registered model, without a version."""
        self.client().create_registered_model(
            MODEL_NAME,
            description="Daily recommender; versions are never overwritten. "
            f"[The runs that made them]({self.runs_page()}), newest day first.",
        )

    def lock(self) -> AbstractContextManager[object]:
        """One process at a time changes the registry."""
        return registry_lock(self.tracking_uri, Path(self.root))
