"""MLflow's registry: versions of one model, the gate's verdicts on them, the alias `production`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import dagster as dg
from filelock import FileLock

from movierec_assets.errors import ChangeError
from movierec_assets.promotion.gate import Candidate, Decision, Verdict, desired_production
from movierec_assets.resources.registry.mlflow_bundle import log_bundle
from movierec_serving.bundle import Bundle

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_NAME = "movierec"
EXPERIMENT = "movierec"
ALIAS = "production"
Action = Literal["pin", "unpin", "revoke", "unrevoke", "approve"]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Version:
    """A registered model version and its tags."""

    number: int
    identity: str
    data_until: str
    run_id: str
    tags: Mapping[str, str]

    @property
    def gate(self) -> str | None:
        return self.tags.get("gate")

    @cached_property
    def candidate(self) -> Candidate:
        revoked, pinned = "revoked" in self.tags, "pinned" in self.tags
        return Candidate(
            self.number, self.data_until, self.gate, revoked, pinned, self.tags.get("fit")
        )


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
        """Record in a version's tags what somebody decided; `reconcile` makes it so.

        pin: this version is production whatever the gate says, until it is unpinned; one is pinned
            at a time.
        revoke: it is not to be production. approve: a version that awaits approval passes the gate.

        Raises:
            ChangeError: no reason, no such version, or nothing there to be undone or approved.
        """
        if not reason.strip():
            raise ChangeError(f"{action} version {number}: say why, the reason is empty")
        with self.lock():
            versions = {one.number: one for one in self.versions()}
            if number not in versions:
                known = f"{min(versions)} to {max(versions)}" if versions else "none"
                raise ChangeError(f"there is no version {number}: there are {known}")
            tags = versions[number].tags
            if refusal := _refusal(action, tags):
                raise ChangeError(f"{action} version {number}: {refusal}")
            if action == "pin":
                for (
                    other
                ) in versions.values():  # first: two pins would leave the newer data in production
                    if "pinned" in other.tags and other.number != number:
                        self._tag(other.number, pinned=None)
            approval = f"approved: {reason} ({tags.get('gate_reason', '')})"
            changes: dict[Action, dict[str, str | None]] = {
                "pin": {"pinned": reason},
                "unpin": {"pinned": None},
                "revoke": {"revoked": reason},
                "unrevoke": {"revoked": None},
                "approve": {"gate_reason": approval, "gate": "passed"},
            }
            self._tag(number, **changes[action])

    def _tag(self, number: int, **tags: str | None) -> None:
        """Set tags in this order; None removes one."""
        # MlflowClient's own call reads every version first, to tell that the model is no prompt: 80
        # ms with 5,000.
        client = cast(Any, self.client())._get_registry_client()
        for key, value in tags.items():
            if value is None:
                client.delete_model_version_tag(MODEL_NAME, str(number), key)
            else:
                client.set_model_version_tag(MODEL_NAME, str(number), key, value)

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
        client = self.client()
        with self.lock():
            versions = self.versions()
            wanted = desired_production([one.candidate for one in versions])
            current = found.number if (found := self.production()) else None
            if wanted is None and current is not None:
                client.delete_registered_model_alias(MODEL_NAME, ALIAS)
            elif wanted is not None and wanted != current:
                client.set_registered_model_alias(MODEL_NAME, ALIAS, str(wanted))
            for one in versions:
                status = "production" if one.number == wanted else "archived"
                if one.tags.get("status", "archived") != status:
                    self._tag(one.number, status=status)
            before = reported()
            chosen = next((one for one in versions if one.number == wanted), None)
            if before != wanted:
                report(chosen, before, _why(chosen, versions))
        return chosen


def _refusal(action: Action, tags: Mapping[str, str]) -> str | None:
    """Why a version with these tags cannot be changed so; None if it can."""
    if action == "pin" and "revoked" in tags:
        return f"it is revoked ({tags['revoked']}); unrevoke it first"
    if action == "unpin" and "pinned" not in tags:
        return "it is not pinned"
    if action == "unrevoke" and "revoked" not in tags:
        return "it is not revoked"
    if action == "approve" and tags.get("gate") != "awaiting_approval":
        return f"it does not await approval, its verdict is {tags.get('gate', 'not there yet')}"
    return None


def _why(chosen: Version | None, versions: Sequence[Version]) -> str:
    revoked = [
        f"version {one.number} is revoked: {one.tags['revoked']}"
        for one in versions
        if "revoked" in one.tags and (chosen is None or one.data_until >= chosen.data_until)
    ]
    if chosen is None:
        return "; ".join(["no version may be production", *revoked])
    if "pinned" in chosen.tags:
        return f"pinned: {chosen.tags['pinned']}"
    return "; ".join(
        [f"newest data of the versions that passed: {chosen.tags.get('gate_reason', '')}", *revoked]
    )


def _version(found: Any) -> Version:
    tags = dict(found.tags)
    return Version(
        int(found.version), tags.get("identity", ""), tags.get("data_until", ""), found.run_id, tags
    )
