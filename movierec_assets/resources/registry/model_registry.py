"""MLflow's registry: versions of one model, the gate's verdicts on them, the alias `production`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from filelock import FileLock

from movierec_assets.promotion.decisions import Action, tag_changes, why_production
from movierec_assets.promotion.findings import Decision, Verdict
from movierec_assets.promotion.policy import desired_production
from movierec_assets.promotion.version import Version
from movierec_assets.resources.registry.mlflow_bundle import log_bundle
from movierec_assets.resources.registry.version_tags import VersionTags
from movierec_serving.bundle import Bundle

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_NAME = "movierec"
EXPERIMENT = "movierec"
ALIAS = "production"
logger = logging.getLogger(__name__)


class ModelRegistry(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Versions of `movierec`, one for each model identity.

    MLflow has no compare-and-set, and two processes that change an alias or a stage at once leave
    it wrong; every change here is made under one file lock.
    """

    tracking_uri: str
    root: str  # the warehouse's folder: artifacts and the lock

    def initialise(self) -> None:
        """Create MLflow's database, the experiment and the model, once; two processes at it would
        break the file.
        """
        from mlflow.exceptions import MlflowException

        Path(self.root).mkdir(parents=True, exist_ok=True)
        with self.lock():
            client = self.client()
            if client.get_experiment_by_name(EXPERIMENT) is None:
                local = self.tracking_uri.startswith("sqlite:")
                client.create_experiment(
                    EXPERIMENT, (Path(self.root).resolve() / "mlflow").as_uri() if local else None
                )
            try:
                client.get_registered_model(MODEL_NAME)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                client.create_registered_model(
                    MODEL_NAME, description="Daily ALS recommender; versions are never overwritten."
                )

    def client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)

    def lock(self) -> FileLock:
        """One process at a time changes the registry."""
        return FileLock(Path(self.root) / "registry.lock")

    def versions(self) -> list[Version]:
        """All complete versions, oldest first."""
        client, found, token = self.client(), [], None
        while True:
            page = client.search_model_versions(
                f"name='{MODEL_NAME}'", max_results=1000, page_token=token
            )
            found += [_version(one) for one in page if "identity" in one.tags]
            token = page.token
            if not token:
                return sorted(found, key=lambda one: one.number)

    def find(self, identity: str) -> Version | None:
        """The version of a model identity, or None."""
        page = self.client().search_model_versions(
            f"name='{MODEL_NAME}' and tag.identity='{identity}'"
        )
        return min((_version(one) for one in page), key=lambda one: one.number, default=None)

    def get(self, number: int) -> Version:
        """A version by its number; MLflow's error if it does not exist."""
        return _version(self.client().get_model_version(MODEL_NAME, str(number)))

    def register(
        self, bundle: Bundle, *, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None
    ) -> Version:
        """Log a bundle to the active MLflow run and register it; the identity's version if there is
        one already.

        The version is created last and with its tags, so that none exists without a complete
        bundle.
        """
        import mlflow

        manifest, client = bundle.manifest, self.client()
        with self.lock():
            existing = self.find(manifest.identity)
            if existing is not None:
                return existing
            run = mlflow.active_run()
            assert run is not None, "register() is called inside an MLflow run"
            model = log_bundle(client, run.info.run_id, bundle, metrics or {})
            version = client.create_model_version(
                MODEL_NAME,
                source=model.model_uri,
                run_id=run.info.run_id,
                model_id=model.model_id,
                tags={"identity": manifest.identity, "data_until": manifest.data_until, **tags},
            )
            return _version(version)

    def record_verdict(
        self, version: Version, verdict: Verdict, known: Collection[str] = ()
    ) -> Verdict:
        """Record a verdict, its numbers but those `known` as metrics `gate_…`; one that was
        recorded is returned.
        """
        from mlflow.entities import Metric

        client = self.client()
        with self.lock():
            tags = client.get_model_version(MODEL_NAME, str(version.number)).tags
            if "gate" in tags:
                return Verdict(
                    cast(Decision, tags["gate"]), tags.get("gate_reason", ""), verdict.numbers
                )
            now = int(time.time() * 1000)
            numbers = verdict.numbers.items()
            metrics = [
                Metric(f"gate_{name}", value, now, 0)
                for name, value in numbers
                if name not in known
            ]
            client.log_batch(version.run_id, metrics=metrics)
            self._tag(
                version.number, gate_reason=verdict.reason, gate=verdict.decision
            )  # last: it decides
        return verdict

    def change(self, action: Action, number: int, reason: str) -> None:
        """Record in tags what somebody decided about a version; `reconcile` makes it so.

        Raises:
            ChangeError: no reason, no such version, or nothing there to be undone or approved.
        """
        with self.lock():
            for change in tag_changes(action, number, reason, self.versions()):
                self._tag(change.version, **{change.tag: change.value})

    def _tag(self, number: int, **values: str | None) -> None:
        """Set tags of a version in this order; None takes one away."""
        tags = VersionTags(self.client(), MODEL_NAME)
        for key, value in values.items():
            if value is None:
                tags.delete(number, key)
            else:
                tags.set(number, key, value)

    def production(self) -> Version | None:
        """The version that the alias names, or None."""
        aliases = self.client().get_registered_model(MODEL_NAME).aliases
        return self.get(int(aliases[ALIAS])) if ALIAS in aliases else None

    def reconcile(
        self,
        reported: Callable[[], int | None],
        report: Callable[[Version | None, int | None, str], None],
    ) -> Version | None:
        """Make alias and status tags what the verdicts ask for, and report the move if production
        was not reported.

        Idempotent, and heals a crash at any point: each step compares before it writes, and the
        report compares with what was reported last.

        Args:
            reported: the production version of the last report.
            report: called once, with the new version, that number and why, if the alias is now
                another version.

        Returns:
            The production version.
        """
        with self.lock():
            versions = self.versions()
            wanted = desired_production([version.candidate for version in versions])
            production = next((one for one in versions if one.number == wanted), None)
            self._point_alias_at(wanted)
            for version in versions:
                status = "production" if version is production else "archived"
                if version.tags.get("status", "archived") != status:
                    self._tag(version.number, status=status)
            before = reported()
            if before != wanted:
                report(production, before, why_production(production, versions))
        return production

    def _point_alias_at(self, wanted: int | None) -> None:
        """Make the alias name this version, or no version; a call only where it differs."""
        client, current = self.client(), self.production()
        if wanted is None and current is not None:
            client.delete_registered_model_alias(MODEL_NAME, ALIAS)
        elif wanted is not None and (current is None or current.number != wanted):
            client.set_registered_model_alias(MODEL_NAME, ALIAS, str(wanted))


def _version(found: Any) -> Version:
    tags = dict(found.tags)
    return Version(
        int(found.version), tags.get("identity", ""), tags.get("data_until", ""), found.run_id, tags
    )
