"""Better parameters, searched for on the past alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import optuna

from movierec_assets.evaluation.offline import evaluate
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.ratings.interactions import Interactions
from movierec_assets.training.plan import Recipe
from movierec_assets.training.trainer import fitted
from movierec_serving.bundle import weight_of

SLICES = 3
WEIGHTINGS = ("ones", "rating", "power:2", "power:3", "power:4", "power:6", "positives")


def walk_forward(data: Interactions) -> list[tuple[Interactions, Interactions]]:
    """`SLICES` pairs of (training, test), the newest first.

    A test is each user's last fifth, and its training is what came before that. The next pair is
    cut from this training alone. The gate's holdout is in none of them: it will judge the
    parameters that a search finds here.
    """
    pairs = []
    left = data.select(~temporal_holdout(data))
    for _ in range(SLICES):
        held = temporal_holdout(left)
        training, test = left.select(~held), left.select(held)
        pairs.append((training, test))
        left = training
    return pairs


def new_study(name: str, storage: str | None, seed: int) -> optuna.Study:
    """The study of that name: TPE, pruning by the median. Trials that are there already count, also
    after a kill.
    """
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=8),
    )
    # a seed of its own after a resumption: the same one would ask for the first trials again
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    return study


def search(
    study: optuna.Study,
    data: Interactions,
    until: str,
    recipe: Recipe,
    trials: int,
) -> dict[str, Any]:
    """The recipe's parameters with those of the best of `trials` trials, by the mean NDCG@10 over
    the slices.

    The first trial has the recipe's own parameters, so the best one is not worse on these slices.
    Each other weighting comes next. Where the family has an `alpha`, it is set so that the mean
    confidence stays as it is: at a random one a good weighting may look bad.
    """
    current, trainer = recipe.parameters, recipe.trainer
    slices = walk_forward(data)

    def objective(trial: optuna.Trial) -> float:
        parameters = {**current, **_suggest(trial, recipe)}
        scores: list[float] = []
        for step, (training, test) in enumerate(slices):
            content = fitted(trainer, training, until, parameters, recipe.seed)
            scores.append(evaluate(content.model(parameters), test).metrics.get("ndcg_at_10", 0.0))
            trial.report(float(np.mean(scores)), step)
            if step + 1 < len(slices) and trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(scores))

    if not study.trials:
        for first in _first_trials(data, recipe):
            study.enqueue_trial(first)
    finished = sum(trial.state.is_finished() for trial in study.trials)
    study.optimize(objective, n_trials=max(trials - finished, 0))
    return {**current, **study.best_params}


def searched(recipe: Recipe) -> tuple[str, ...]:
    """The parameters that a search may change."""
    return ("weighting", *recipe.trainer.ranges)


def _first_trials(data: Interactions, recipe: Recipe) -> Iterator[dict[str, Any]]:
    current = recipe.parameters
    start = {name: current[name] for name in searched(recipe)}
    yield start
    mean = weight_of(data.ratings, current["weighting"]).mean()
    for weighting in (other for other in WEIGHTINGS if other != current["weighting"]):
        trial = {**start, "weighting": weighting}
        if "alpha" in trial:
            low, high = _range("alpha", recipe)
            alpha = float(current["alpha"] * mean / weight_of(data.ratings, weighting).mean())
            trial["alpha"] = min(max(alpha, low), high)
        yield trial


def _range(name: str, recipe: Recipe) -> tuple[Any, Any]:
    """The range that is searched: it holds the current value, too."""
    low, high = recipe.trainer.ranges[name]
    return min(low, recipe.parameters[name]), max(high, recipe.parameters[name])


def _suggest(trial: optuna.Trial, recipe: Recipe) -> dict[str, Any]:
    """Values for what is searched."""
    weightings = sorted({*WEIGHTINGS, recipe.parameters["weighting"]})
    suggested: dict[str, Any] = {"weighting": trial.suggest_categorical("weighting", weightings)}
    for name, (low, _) in recipe.trainer.ranges.items():
        suggest = trial.suggest_int if isinstance(low, int) else trial.suggest_float
        suggested[name] = suggest(name, *_range(name, recipe), log=True)
    return suggested
