"""Better parameters, searched for on the past alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna

from movierec_assets.evaluation.offline import evaluate
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.ratings.interactions import Interactions, confidence
from movierec_assets.training import als
from movierec_assets.training.factors import content, in_memory
from movierec_serving.bundle import weight_of

SLICES = 3
WEIGHTINGS = ("ones", "rating", "power:2", "power:3", "power:4", "power:6", "positives")
RANGES = {
    "factors": (8, 256),
    "regularization": (0.1, 100.0),
    "alpha": (0.1, 50.0),
    "iterations": (5, 30),
}
TUNED = ("weighting", *RANGES)


def walk_forward(
    data: Interactions, slices: int = SLICES
) -> list[tuple[Interactions, Interactions]]:
    """(training, test) slices, the newest first: each user's last fifth is tested on what is before
    it, and the next slice lies wholly before that.

    The gate's holdout is taken off first: it is to judge what was found here.
    """
    found = []
    left = data.select(~temporal_holdout(data))
    for _ in range(slices):
        held = temporal_holdout(left)
        found.append((left.select(~held), left.select(held)))
        left = found[-1][0]
    return found


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
    current: Mapping[str, Any],
    seed: int,
    trials: int,
) -> dict[str, Any]:
    """`current` with the parameters of the best of `trials` trials: mean NDCG@10 over the slices.

    The first trial is `current` itself: what is found is not worse on these slices. Then comes each
    weighting at the mean confidence of the current one: left to chance, some would only be seen far
    from where they are good.
    """
    slices = walk_forward(data)

    def objective(trial: optuna.Trial) -> float:
        parameters = {**current, **_suggest(trial, current)}
        scores: list[float] = []
        for step, (training, test) in enumerate(slices):
            weights = confidence(training, until, parameters)
            factors = als.fit(training, weights, parameters, seed)
            model = in_memory(content(training, weights, factors), parameters)
            scores.append(evaluate(model, test).metrics.get("ndcg_at_10", 0.0))
            trial.report(float(np.mean(scores)), step)
            if step + 1 < len(slices) and trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(scores))

    if not study.trials:
        start = {name: current[name] for name in TUNED}
        study.enqueue_trial(start)
        mean, (low, high) = (
            weight_of(data.ratings, current["weighting"]).mean(),
            _range("alpha", current),
        )
        for weighting in (one for one in WEIGHTINGS if one != current["weighting"]):
            alpha = float(current["alpha"] * mean / weight_of(data.ratings, weighting).mean())
            study.enqueue_trial(
                {**start, "weighting": weighting, "alpha": min(max(alpha, low), high)}
            )
    finished = sum(trial.state.is_finished() for trial in study.trials)
    study.optimize(objective, n_trials=max(trials - finished, 0))
    return {**current, **study.best_params}


def _range(name: str, current: Mapping[str, Any]) -> tuple[Any, Any]:
    """The range that is searched: it holds the current value, too."""
    low, high = RANGES[name]
    return min(low, current[name]), max(high, current[name])


def _suggest(trial: optuna.Trial, current: Mapping[str, Any]) -> dict[str, Any]:
    """Values for `TUNED`."""
    weightings = sorted({*WEIGHTINGS, current["weighting"]})
    suggested: dict[str, Any] = {"weighting": trial.suggest_categorical("weighting", weightings)}
    for name, (low, _) in RANGES.items():
        suggest = trial.suggest_int if isinstance(low, int) else trial.suggest_float
        suggested[name] = suggest(name, *_range(name, current), log=True)
    return suggested
