"""The arms of the experiment under way: their newest models as versions that endpoints serve."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import dagster as dg

from movierec_assets.defs.shared.challengers import register_version
from movierec_assets.errors import EndpointError, NotReadyError
from movierec_assets.platform import Platform
from movierec_assets.ports import Bundles, PublishedModels, Registry
from movierec_assets.promotion.version import Version
from movierec_assets.resources.serving_client import ServingClient
from movierec_assets.resources.warehouse.experiments import Trial
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.training.day_model import DayModel
from movierec_serving.bundle import Bundle
from movierec_serving.bundle.experiment import POPULAR, PRODUCTION, Experiment


@dataclass(frozen=True)
class ArmStores:
    """Where the models of arms are, and where they go."""

    warehouse: Warehouse
    bundles: Bundles
    published: PublishedModels
    registry: Registry
    client: ServingClient
    mlflow: Any

    @classmethod
    def of(cls, platform: Platform, mlflow: Any) -> Self:
        return cls(
            platform.warehouse,
            platform.bundle_store,
            platform.published_models,
            platform.model_registry,
            platform.serving_client,
            mlflow,
        )

    def newest(self, arm: str, tags: Mapping[str, str]) -> tuple[DayModel, Version]:
        """The newest model of an arm, registered; nothing of it is judged.

        Raises:
            NotReadyError: the arm has no model yet.
        """
        models = [model for model in self.warehouse.models(arm=arm).values() if model.identity]
        if not models:
            raise NotReadyError(f"{arm}: no model yet; materialize {arm}_model first")
        model = models[-1]
        bundle = Bundle.open(self.bundles.served(str(model.identity)))
        tags = {**tags, "arm": arm}
        version = register_version(self.mlflow, self.registry, bundle, model, tags)
        return model, version

    def publish(self, arms: Iterable[str], tags: Mapping[str, str]) -> dict[str, int]:
        """Put the newest model of each arm where endpoints find it; its version by arm."""
        movies, versions = self.warehouse.catalogue(), {}
        for arm in arms:
            if arm not in (PRODUCTION, POPULAR):
                _, version = self.newest(arm, tags)
                self.published.publish(
                    self.bundles.served(version.identity), version.number, movies
                )
                versions[arm] = version.number
        return versions

    def carry_out(self, experiment: Experiment | None) -> None:
        """Let every endpoint follow the experiment, or none.

        Raises:
            dg.Failure: naming each endpoint that does not, and why; the others do.
        """
        failed = {}
        for url in self.client.endpoints:
            try:
                self.client.experiment(url, experiment)
            except EndpointError as error:
                failed[url] = str(error)
        if failed:
            causes = "; ".join(failed.values())
            raise dg.Failure(f"not every endpoint follows: {causes}", allow_retries=False)

    def renewed(self, trial: Trial, tags: Mapping[str, str]) -> Trial:
        """The experiment with the newest version of each arm."""
        arms = [arm.name for arm in trial.experiment.arms]
        versions = self.publish(arms, tags)
        return replace(trial, experiment=trial.experiment.with_versions(versions))
