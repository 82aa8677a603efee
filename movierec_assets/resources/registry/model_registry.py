"""Changes of MLflow's registry: new versions, verdicts, decisions, the alias `production`."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

from movierec_assets.errors import ChangeError
from movierec_assets.promotion.decisions import Action, tag_changes, why_production
from movierec_assets.promotion.description import describe
from movierec_assets.promotion.findings import Decision, Verdict
from movierec_assets.promotion.policy import desired_production
from movierec_assets.promotion.version import Version
from movierec_assets.resources.registry.mlflow_bundle import log_bundle
from movierec_assets.resources.registry.registry_reader import ALIAS, MODEL_NAME, as_version
from movierec_assets.resources.registry.registry_setup import RegistrySetup
from movierec_assets.resources.registry.version_records import GONE, REMOVED
from movierec_assets.resources.registry.version_tags import VersionTags
from movierec_serving.bundle import Bundle

NOTE = "mlflow.note.content"  # the tag that MLflow's UI shows as a run's description
logger = logging.getLogger(__name__)


class ModelRegistry(RegistrySetup):
    """Versions of `movierec` are registered, judged and promoted.

    MLflow has no compare-and-set, and two processes that change an alias or a stage at once leave
    it wrong; every change here is made under one lock.
    """

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
            self.check_whole()
            run = mlflow.active_run()
            assert run is not None, "register() is called inside an MLflow run"
            model = log_bundle(client, run.info.run_id, bundle, metrics or {})
            given = {
                "identity": manifest.identity,
                "data_until": manifest.data_until,
                "status": "archived",  # until it is production
                **tags,
            }
            while True:
                made = client.create_model_version(
                    MODEL_NAME,
                    source=model.model_uri,
                    run_id=run.info.run_id,
                    model_id=model.model_id,
                    tags=given,
                    description=describe(given, metrics or {}),
                )
                if not self.records.taken(int(made.version), manifest.identity):
                    break
                client.delete_model_version(MODEL_NAME, made.version)  # a number is given once
            version = as_version(made)
            self.records.keep(version.number, given, metrics or {})
            return version

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
            metrics = [
                Metric(f"gate_{name}", value, now, 0)
                for name, value in verdict.numbers.items()
                if name not in known
            ]
            client.log_batch(version.run_id, metrics=metrics)
            # The decision is the last: what is read as a verdict is a whole one.
            self._tag(version.number, gate_reason=verdict.reason, gate=verdict.decision)
            self._describe(version.number)
        return verdict

    def change(self, action: Action, number: int, reason: str) -> None:
        """Record in tags what somebody decided about a version; `reconcile` makes it so.

        Raises:
            ChangeError: no reason, no such version, or nothing there to be undone or approved.
        """
        record = self.records.get(number)
        if record is not None and record.removed is not None:
            raise ChangeError(f"{action} version {number}: it was removed ({record.removed})")
        with self.lock():
            for change in tag_changes(action, number, reason, self.versions()):
                self._tag(change.version, **{change.tag: change.value})
            self._describe(number)

    def announce_removal(self, number: int, why: str) -> None:
        """Say that a version's files are about to go; it is a candidate for nothing from now on,
        and whoever meets a gap finds out why, also after a kill.
        """
        with self.lock():
            self._tag(number, **{REMOVED: why})

    def finish_removal(self, number: int) -> None:
        """Delete what MLflow has of an announced version: artifacts, logged model, run, version.

        Its number and the reason stay known. Doing so again changes nothing. On an MLflow server of
        the user's own the artifacts stay until its `mlflow gc`.
        """
        from mlflow.exceptions import MlflowException

        client = self.client()
        with self.lock():
            try:
                version = client.get_model_version(MODEL_NAME, str(number))
            except MlflowException:  # a call before this one got that far
                self.records.change(number, {GONE: "true"})
                return
            location = self.artifacts(number)
            if location is not None and self.local:
                folder = Path(unquote(urlsplit(location).path))
                if folder.is_relative_to(Path(self.root).resolve() / "mlflow"):
                    shutil.rmtree(folder, ignore_errors=True)
                    shutil.rmtree(folder.parent, ignore_errors=True)  # the logged model's own
            with suppress(MlflowException):  # deleted already
                if model_id := getattr(version, "model_id", None):
                    client.delete_logged_model(model_id)
            with suppress(MlflowException):
                if version.run_id:
                    client.delete_run(version.run_id)
            client.delete_model_version(MODEL_NAME, str(number))
            self.records.change(number, {GONE: "true"})

    def _tag(self, number: int, **values: str | None) -> None:
        """Set tags of a version in this order; None takes one away."""
        tags = VersionTags(self.client(), MODEL_NAME)
        for key, value in values.items():
            if value is None:
                tags.delete(number, key)
            else:
                tags.set(number, key, value)
        if self.records.get(number) is None:  # of before there were records
            self.records.keep(number, self.get(number).tags)
        self.records.change(number, values)

    def _describe(self, number: int) -> None:
        """Say in words what a version's tags now say, with it and with its run."""
        version, record = self.get(number), self.records.get(number)
        text = describe(version.tags, record.metrics if record is not None else {})
        client = self.client()
        VersionTags(client, MODEL_NAME).describe(number, text)
        if version.run_id:  # a version whose bundle was lost was made again without one
            client.set_tag(version.run_id, NOTE, text)

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

        Raises:
            RegistryLostError: as `check_whole`.
        """
        with self.lock():
            self.check_whole()
            versions = self.versions()
            production = desired_production(versions)
            wanted = production.number if production is not None else None
            self._point_alias_at(wanted)
            for version in versions:
                status = "production" if version is production else "archived"
                if version.tags.get("status") != status:
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
