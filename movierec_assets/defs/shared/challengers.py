"""A trained model as a challenger: registered as a version, and judged by the gate."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import dagster as dg

from movierec_assets.ports import Bundles, Registry
from movierec_assets.promotion.comparison import compare, overlap, usual_overlap
from movierec_assets.promotion.gate import Decision, Verdict, judge
from movierec_assets.promotion.policy import references
from movierec_assets.promotion.version import Version
from movierec_assets.settings import Settings
from movierec_assets.training.day_model import DayModel
from movierec_serving.bundle import Bundle, BundleError


def origin(context: dg.AssetExecutionContext) -> dict[str, str]:
    """The tags of a version that say what made it."""
    return {"git_commit": _git_commit(), "dagster_run": context.run.run_id}


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
        identities = {one.number: one.identity for one in versions}
        numbers = references(version.candidate, [one.candidate for one in versions])
        against = {name: identities[number] for name, number in numbers.items()}
        served = Bundle.open(self.bundles.served(version.identity))
        twin = Bundle.open(self.bundles.twin(version.identity))
        theirs = {name: Bundle.open(self.bundles.twin(key)) for name, key in against.items()}
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
        )
        return self.registry.record_verdict(version, verdict, model.metrics)

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
