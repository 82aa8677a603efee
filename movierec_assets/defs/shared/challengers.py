"""A trained model as a challenger: registered as a version, and judged by the gate."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import dagster as dg

from movierec_assets.errors import NotReadyError
from movierec_assets.ports import Bundles, Registry
from movierec_assets.promotion.comparison import (
    against_popularity,
    compare,
    kept_share,
    overlap,
    same_recipe,
    usual_overlap,
)
from movierec_assets.promotion.findings import Decision, Verdict
from movierec_assets.promotion.gate import judge
from movierec_assets.promotion.interval import interval
from movierec_assets.promotion.policy import references
from movierec_assets.promotion.small_site import Limits, SmallSite
from movierec_assets.promotion.version import Version
from movierec_assets.resources.notifier import webserver
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings
from movierec_assets.training.day_model import DayModel
from movierec_assets.training.trainer import Residuals
from movierec_assets.training.trainers import TRAINERS
from movierec_serving.bundle import Bundle, BundleError


def origin(context: dg.AssetExecutionContext) -> dict[str, str]:
    """The tags of a version that say what made it."""
    run = context.run.run_id
    return {
        "git_commit": _git_commit(),
        "dagster_run": run,
        "dagster_run_url": f"{webserver()}/runs/{run}",
    }


def register_version(
    mlflow: Any, registry: Registry, bundle: Bundle, model: DayModel, tags: Mapping[str, str]
) -> Version:
    """Register a model as a version, in an MLflow run of its own."""
    fit = bundle.manifest.fit  # the bundle's: an empty day's model was fitted on another day
    tags = {**tags, "partition": model.day, "fit": fit}
    known = {**tags, "identity": bundle.manifest.identity}
    with mlflow.start_run(nested=True, run_name=model.day, tags=known):
        return registry.register(bundle, tags=tags, metrics=model.metrics)


@dataclass(frozen=True)
class Gate:
    """The gate, with where it reads bundles and records verdicts."""

    settings: Settings
    bundles: Bundles
    registry: Registry
    warehouse: Warehouse

    def verdict(
        self,
        model: DayModel,
        version: Version,
        versions: Sequence[Version],
        recorded: Callable[[str], DayModel | None],
    ) -> Verdict:
        """The verdict on a version: the recorded one, else a new one, which is recorded.

        Args:
            recorded: what was recorded about the model of an identity, of whichever arm.
        """
        if version.gate is not None:
            return Verdict(cast(Decision, version.gate), version.gate_reason)
        compared = references(version.data_until, versions)
        against = {name: reference.identity for name, reference in compared.items()}
        served = Bundle.open(self.bundles.served(version.identity))
        twin = Bundle.open(self.bundles.twin(version.identity))
        theirs = {name: self._twin(name, identity) for name, identity in against.items()}
        production = against.get("production")
        verdict = judge(
            {name: value for name, value in model.metrics.items() if "/" not in name},  # no segment
            compare(served, twin, theirs),
            overlap(served, twin),
            margin=self.settings.gate_margin,
            level=self.settings.gate_level,
            manual=self.settings.gate == "manual",
            before=_ndcg_of(recorded(production)) if production else None,
            usual=self._usual(served, production, theirs.get("production")),
            site=self._site(model, served, twin, production),
        )
        return self.registry.record_verdict(version, verdict, model.metrics)

    def _site(
        self, model: DayModel, served: Bundle, twin: Bundle, production: str | None
    ) -> SmallSite | None:
        """What a small site is judged by; None on a large one, where it decides nothing."""
        settings = self.settings
        if model.metrics.get("users", 0.0) >= settings.gate_small_users:
            return None
        before = Bundle.open(self.bundles.served(production)) if production else None
        own, popular = against_popularity(served, twin)
        until, window = served.manifest.data_until, settings.window_days
        return SmallSite(
            limits=Limits(
                users=settings.gate_small_users,
                overlap=settings.gate_small_overlap,
                kept=settings.gate_kept_ratings,
                residual=settings.gate_residual,
            ),
            accepted=self.warehouse.accepted_pairs(until, window),
            held=len(served.seen_items),
            # A window drops ratings every day, as it should.
            kept=kept_share(served, before) if before is not None and window is None else 1.0,
            residuals=_residuals(served, twin),
            popularity=interval(
                own, popular, margin=settings.gate_margin, level=settings.gate_level
            ),
            new_settings=before is not None and not same_recipe(before, served),
        )

    def _twin(self, role: str, identity: str) -> Bundle:
        """The twin of a reference; NotReadyError, which says what to do, where it was lost."""
        try:
            return Bundle.open(self.bundles.twin(identity))
        except BundleError as error:
            raise NotReadyError(
                f"the gate has nothing to compare with, the twin of its {role} was lost: {error}; "
                "`movierec recover --apply` makes it again"
            ) from error

    def _usual(
        self, challenger: Bundle, production: str | None, twin: Bundle | None
    ) -> float | None:
        """What production's served bundle and its twin have in common; None without production.

        None also where the served one is lost: the deployment's checks name that.
        """
        if production is None or twin is None:
            return None
        with suppress(BundleError):
            return usual_overlap(challenger, Bundle.open(self.bundles.served(production)), twin)
        return None


def _residuals(served: Bundle, twin: Bundle) -> Residuals | None:
    """The larger residuals of both; None for a family whose fit solves no equations."""
    residuals = TRAINERS[served.manifest.family].residuals
    return residuals(served).larger(residuals(twin)) if residuals else None


def _ndcg_of(model: DayModel | None) -> float | None:
    """NDCG@10 of a model on the holdout of its own day."""
    return model.metrics.get("ndcg_at_10") if model else None


def _git_commit() -> str:
    """The checkout's commit, or `unknown` outside one."""
    command = ["git", "--no-optional-locks", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.check_output(
            command, text=True, timeout=10, stderr=subprocess.DEVNULL
        ).strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
