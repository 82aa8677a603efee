"""Experiments, from their start to their conclusion, as a person asks for them.

The arms of a day are `arms.py`'s, what a day says of one is `monitoring/experiments.py`'s.
"""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg

from movierec_assets.defs.shared.arms import ArmStores
from movierec_assets.defs.shared.challengers import Gate
from movierec_assets.defs.shared.experiment_plan import Start, described, planned
from movierec_assets.defs.shared.header import OWNERS, POOL
from movierec_assets.defs.shared.production import reconcile_production
from movierec_assets.monitoring.experiments import wrong_metric, wrong_shares
from movierec_assets.platform import Platform
from movierec_assets.resources.warehouse.experiments import Trial
from movierec_assets.settings import Settings
from movierec_assets.settings.training import OF_LISTS
from movierec_assets.training.trainers import TRAINERS
from movierec_serving.bundle import Ranking
from movierec_serving.bundle.experiment import POPULAR, PRODUCTION, Arm, Experiment

UNPLANNED = 10_000.0  # information of an error of 0.01, where nothing is known


class End(dg.Config):
    """Why the experiment under way ends."""

    reason: str


class Conclude(dg.Config):
    """Which arm's policy is to be production's, and why."""

    winner: str
    reason: str


@dg.op(pool=POOL, required_resource_keys={"platform", "mlflow"})
def start(context: dg.OpExecutionContext, config: Start) -> None:
    """Plan from the log, publish the arms, and let the endpoints follow."""
    platform: Platform = context.resources.platform
    stores = ArmStores(platform, context.resources.mlflow, context)
    day = config.day or datetime.now(UTC).date().isoformat()
    trials = {trial.name: trial for trial in platform.warehouse.trials()}
    running = next((trial for trial in trials.values() if trial.ended is None), None)
    trained = set(platform.settings.arms) - {platform.settings.model}
    wrong = wrong_shares(config.shares, trained, interleave=config.interleave) or wrong_metric(
        config.metric
    )
    if running is not None and running.name == config.name:
        wrong = wrong or _changed(running, config)
    if running is not None and running.name != config.name:
        wrong = f"{running.name} is under way; stop or conclude it first"
    if config.name in trials and trials[config.name].ended is not None:
        wrong = f"{config.name} ended: {trials[config.name].conclusion}; give this one another name"
    if wrong:
        raise dg.Failure(wrong, allow_retries=False)
    plan = planned(platform, config, day)
    context.add_output_metadata(described(plan, config))
    if config.only_plan:
        return
    if running is not None:
        trial = replace(running, experiment=running.experiment.grown(config.shares), grown=day)
    else:
        versions = stores.publish(config.shares, _tags(context.run_id))
        salt = hashlib.sha256(f"experiment {config.name}".encode()).hexdigest()[:16]
        control_first = sorted(config.shares, key=lambda name: (name != PRODUCTION, name))
        arms = [
            Arm(name=name, version=versions.get(name), ranking=_ranking(platform.settings, name))
            for name in control_first
        ]
        shares = {arm.name: config.shares[arm.name] for arm in arms}
        trial = Trial(
            name=config.name,
            metric=config.metric,
            effect=config.effect,
            days=config.days,
            information=plan.information if plan else UNPLANNED,
            power=float(plan.power[-1]) if plan else None,
            reason=config.reason,
            started=day,
            grown=day,
            experiment=Experiment.of(config.name, salt, arms, shares, interleave=config.interleave),
        )
    platform.warehouse.record_trial(trial)  # first: what endpoints follow, somebody can end
    stores.carry_out(trial.experiment)


@dg.op(pool=POOL, required_resource_keys={"platform", "mlflow"})
def stop(context: dg.OpExecutionContext, config: End) -> None:
    """Everybody is answered by production again."""
    platform: Platform = context.resources.platform
    _end(
        platform,
        ArmStores(platform, context.resources.mlflow, context),
        f"stopped: {config.reason}",
    )


@dg.op(pool=POOL, required_resource_keys={"platform", "mlflow"})
def conclude(context: dg.OpExecutionContext, config: Conclude) -> None:
    """Judge the winner's newest model; if the gate passes it, its parameters are production's."""
    platform: Platform = context.resources.platform
    stores = ArmStores(platform, context.resources.mlflow, context)
    settings, warehouse = platform.settings, platform.warehouse
    trial = _under_way(platform)
    if config.winner not in {arm.name for arm in trial.experiment.arms}:
        raise dg.Failure(f"{trial.name} has no arm {config.winner!r}", allow_retries=False)
    said = f"concluded with {config.winner}: {config.reason}"
    if config.winner == PRODUCTION:
        _end(platform, stores, said)
        return
    if (why := _cannot_win(settings, config.winner)) is not None:
        raise dg.Failure(f"nothing was changed: {why}", allow_retries=False)
    model, version = stores.newest(config.winner, _tags(context.run_id))
    registry = platform.model_registry
    gate = Gate(settings, platform.bundle_store, registry, warehouse)
    verdict = gate.verdict(model, version, registry.versions(), warehouse.model)
    context.add_output_metadata({"verdict": verdict.decision, "reason": verdict.reason})
    if verdict.decision != "passed":
        raise dg.Failure(
            f"nothing was changed: the gate says {verdict.decision} to version {version.number}: "
            f"{verdict.reason}",
            allow_retries=False,
        )
    trainer, own = TRAINERS[settings.model], settings.of_arm(config.winner)
    base, wanted = trainer.parameters(settings), trainer.parameters(own)
    day = replace(model, arm=settings.model)
    warehouse.record_tuned(day, version.number, base, wanted, verdict.decision)
    by = f"conclude_experiment {trial.name}: {config.reason}, run {context.run_id}"
    reconcile_production(context.instance, registry, by)
    _end(platform, stores, said)


def _cannot_win(settings: Settings, winner: str) -> str | None:
    """Why no job makes a policy production's, and what does; None where one can."""
    if winner == POPULAR or settings.of_arm(winner).model != settings.model:
        return (
            f"production is of the family {settings.model}, and a policy of another one becomes "
            "its own by MOVIEREC_MODEL; then each day's gate judges it"
        )
    if (ranking := _ranking(settings, winner)) is not None:
        lines = [f"MOVIEREC_{name.upper()}={value:g}" for name, value in ranking]
        return (
            f"how lists are made is a setting: {' and '.join(lines)}, from the next published "
            "version on"
        )
    return None


def _changed(trial: Trial, config: Start) -> str | None:
    """What a larger share cannot change: a result would be of two questions."""
    asked = {name: getattr(trial, name) for name in ("metric", "effect", "days")}
    asked["interleave"] = trial.experiment.interleave
    if asked == {name: getattr(config, name) for name in asked}:
        return None
    given = ", ".join(f"{name}: {value}" for name, value in asked.items())
    return f"{trial.name} is under way with {given}: only its shares can change"


def _ranking(settings: Settings, arm: str) -> Ranking | None:
    """How an arm's lists are made; None where as production's."""
    own, usual = (
        Ranking(**{name: getattr(its, name) for name in OF_LISTS})
        for its in (settings.of_arm(arm), settings)
    )
    return None if own == usual else own


def _under_way(platform: Platform) -> Trial:
    trial = platform.warehouse.running()
    if trial is None:
        raise dg.Failure("no experiment is under way", allow_retries=False)
    return trial


def _end(platform: Platform, stores: ArmStores, conclusion: str) -> None:
    trial = _under_way(platform)
    stores.carry_out(None)
    today = datetime.now(UTC).date().isoformat()
    platform.warehouse.record_trial(replace(trial, ended=today, conclusion=conclusion))


def _tags(run_id: str) -> dict[str, str]:
    return {"dagster_run": run_id}


@dg.job(
    description="Plan an experiment from the log, and start it, or give it larger shares.",
    owners=OWNERS,
)
def start_experiment() -> None:
    start()


@dg.job(
    description="End the experiment under way: everybody is answered by production.",
    owners=OWNERS,
)
def stop_experiment() -> None:
    stop()


@dg.job(
    description="End the experiment under way with a winner, whose parameters become production's "
    "if the gate passes its newest model.",
    owners=OWNERS,
)
def conclude_experiment() -> None:
    conclude()
