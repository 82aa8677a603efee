"""The arms of the experiment under way: their newest models as versions that endpoints serve."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from movierec_assets.defs.shared.challengers import register_version
from movierec_assets.errors import EndpointError, NotReadyError
from movierec_assets.platform import Platform
from movierec_assets.promotion.version import Version
from movierec_assets.resources.spark_driver import with_pipes
from movierec_assets.resources.spark_lists import placed_lists
from movierec_assets.resources.warehouse.experiments import Trial
from movierec_assets.training.day_model import DayModel
from movierec_serving.bundle import Bundle
from movierec_serving.bundle.experiment import POPULAR, PRODUCTION, Experiment


@dataclass(frozen=True)
class ArmStores:
    """Where the models of arms are, and where they go."""

    platform: Platform
    mlflow: Any
    context: dg.AssetExecutionContext | dg.OpExecutionContext

    def newest(self, arm: str, tags: Mapping[str, str]) -> tuple[DayModel, Version]:
        """The newest model of an arm, registered; nothing of it is judged.

        Raises:
            NotReadyError: the arm has no model yet.
        """
        every_day = self.platform.warehouse.models(arm=arm).values()
        models = [model for model in every_day if model.identity]
        if not models:
            raise NotReadyError(f"{arm}: no model yet; materialize {arm}_model first")
        model = models[-1]
        bundle = Bundle.open(self.platform.bundle_store.served(str(model.identity)))
        tags, registry = {**tags, "arm": arm}, self.platform.model_registry
        return model, register_version(self.mlflow, registry, bundle, model, tags)

    def publish(self, arms: Iterable[str], tags: Mapping[str, str]) -> dict[str, int]:
        """Put the newest model of each arm where endpoints find it; its version by arm."""
        published, movies = self.platform.published_models, self.platform.warehouse.catalogue()
        lists_of = placed_lists(self.platform.settings, with_pipes(self.context))
        versions = {}
        for arm in arms:
            if arm not in (PRODUCTION, POPULAR):
                _, version = self.newest(arm, tags)
                bundle = self.platform.bundle_store.served(version.identity)
                published.publish(bundle, version.number, movies, lists_of)
                versions[arm] = version.number
        return versions

    def carry_out(self, experiment: Experiment | None) -> None:
        """Let every endpoint follow the experiment, or none.

        Raises:
            dg.Failure: naming each endpoint that does not, and why; the others do.
        """
        client, failed = self.platform.serving_client, []
        for url in client.endpoints:
            try:
                client.experiment(url, experiment)
            except EndpointError as error:
                failed.append(str(error))
        if failed:
            causes = "; ".join(failed)
            raise dg.Failure(f"not every endpoint follows: {causes}", allow_retries=False)

    def renewed(self, trial: Trial, tags: Mapping[str, str]) -> Trial:
        """The experiment with the newest version of each arm."""
        arms = [arm.name for arm in trial.experiment.arms]
        versions = self.publish(arms, tags)
        return replace(trial, experiment=trial.experiment.with_versions(versions))
