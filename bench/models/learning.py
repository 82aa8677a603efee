"""What the models are worth and what they cost: trainers, warm fits, tuned parameters, folded-in
users.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from zlib import crc32

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray

from bench.goals import goal
from bench.models.chain import PARAMETERS, Day, defaults, movielens, train, train_day, with_arrays
from bench.models.generator import frame, generate, twenty_years
from bench.models.trainers import CONTENDERS
from movierec_assets.evaluation.offline import Evaluation, evaluate
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.promotion.interval import interval
from movierec_assets.ratings.interactions import Interactions, confidence, interactions_of
from movierec_assets.training.als import ALS, loss
from movierec_assets.training.plan import Recipe
from movierec_assets.training.trainer import fitted
from movierec_assets.tuning.search import new_study, search, walk_forward
from movierec_serving.bundle import Evidence, Model

UNTIL = "2030-01-01"  # no decay here
DAYS = 100  # consecutive, the last ones
FOLDS = 20  # of users; with fewer, each model lacks more of what its movies are learnt from
EASE_L2 = (30.0, 50.0, 100.0, 200.0, 400.0, 800.0)
EASE_WEIGHTINGS = ("ones", "positives", "power:2")
SHOWN = ("ndcg_at_10", "recall_at_20", "map_at_10", "coverage_at_10", "novelty_at_10")


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of all threads, and what `work` returns."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def model_of(name: str, data: Interactions, parameters: Mapping[str, Any]) -> Model:
    return fitted(CONTENDERS[name].trainer, data, UNTIL, parameters, 0).model(parameters)


def split(data: Interactions) -> tuple[Interactions, Interactions]:
    held = temporal_holdout(data)
    return data.select(~held), data.select(held)


# -- a day -----------------------------------------------------------------------------------------


def warm_days(ratings: pd.DataFrame) -> None:
    """The chain of a day's two fits, cold in a new month as in the pipeline, beside two cold fits a
    day.
    """
    days = sorted(ratings["day"].unique())
    history = {"warm": 0.0, "cold": 0.0, "evaluation": 0.0}
    chain: Day | None = None
    scores: list[tuple[float, float]] = []
    losses = []
    for before, day in zip(days[-DAYS - 1 :], days[-DAYS:], strict=False):
        data = interactions_of(ratings[ratings["day"] <= day])
        parent = chain if chain and before[:7] == day[:7] else None
        seconds, chain = cpu(lambda data=data, parent=parent: train_day(data, parent=parent))
        history["warm"] += seconds
        seconds, cold = cpu(lambda data=data: train_day(data))
        history["cold"] += seconds
        _, held = split(data)
        seconds, own = cpu(lambda held=held, twin=chain.twin: evaluate(twin, held))
        history["evaluation"] += seconds
        scores.append((own.metrics["ndcg_at_10"], evaluate(cold.twin, held).metrics["ndcg_at_10"]))
        losses.append(_loss(data, chain.served) / _loss(data, cold.served))
    warm, cold_score = np.mean(scores, axis=0)
    ratio = np.divide(*np.transpose(scores))
    print(
        f"{DAYS} consecutive days to {days[-1]}, twin and served model of each, cold in a new "
        "month:\n"
    )
    print("| | warm chain | cold each day |\n|---|---|---|")
    print(f"| CPU-s | {history['warm']:.1f} | {history['cold']:.1f} |")
    print(f"| NDCG@10, mean | {warm:.4f} | {cold_score:.4f} |")
    print(
        f"\na day's NDCG@10, warm over cold: {ratio.min():.3f} to {ratio.max():.3f}; loss: "
        f"{max(losses):.4f} at most\n"
    )
    goal("warm days, CPU of all fits over cold ones", history["warm"] / history["cold"], 0.25)
    goal("warm days, |NDCG@10 over cold ones' - 1|", abs(warm / cold_score - 1), 0.01, digits=4)
    goal(
        "evaluation of all users, CPU over a cold fit",
        history["evaluation"] / (history["cold"] / 2),
        0.5,
    )


def _loss(data: Interactions, model: Model) -> float:
    return loss(data, confidence(data, UNTIL, PARAMETERS), model, PARAMETERS)


# -- where ALS stands ------------------------------------------------------------------------------


def tuned_ease(data: Interactions) -> dict[str, Any]:
    """The best of a grid on the slices ALS is tuned on."""
    slices = walk_forward(data)[: 3 if len(data) < 500_000 else 1]
    ease = {**PARAMETERS, **CONTENDERS["EASE"].parameters}
    grid = [
        {**ease, "regularization": l2, "weighting": weighting}
        for l2 in EASE_L2
        for weighting in EASE_WEIGHTINGS
    ]
    return max(
        grid,
        key=lambda parameters: float(
            np.mean(
                [
                    evaluate(model_of("EASE", kept, parameters), held).metrics["ndcg_at_10"]
                    for kept, held in slices
                ]
            )
        ),
    )


def trainers(name: str, data: Interactions, trials: int) -> dict[str, Any]:
    """Every trainer on the same holdout and candidates; the parameters that were found for ALS."""
    training, held = split(data)
    study = new_study(name, None, 0)
    base = defaults(ALS, len(data))
    recipe = Recipe("als", ALS, base, 0)
    spent, tuned = cpu(lambda: search(study, data, UNTIL, recipe, trials))
    contenders = {
        name: (name, {**base, **contender.parameters}) for name, contender in CONTENDERS.items()
    }
    contenders |= {"ALS, tuned": ("ALS", tuned), "EASE, tuned": ("EASE", tuned_ease(data))}
    evaluations: dict[str, Evaluation] = {}
    print(
        f"\n{name}: {len(data):,} ratings, {len(data.user_ids):,} users, {len(data.movie_ids):,} "
        "movies\n"
    )
    print(f"| | {' | '.join(SHOWN)} | CPU-s |\n|{'---|' * (len(SHOWN) + 2)}")
    for label, (trainer, parameters) in contenders.items():
        seconds, model = cpu(
            lambda trainer=trainer, parameters=parameters: model_of(trainer, training, parameters)
        )
        evaluations[label] = evaluate(model, held)
        figures = " | ".join(f"{evaluations[label].metrics[metric]:.4f}" for metric in SHOWN)
        print(f"| {label} | {figures} | {seconds:.1f} |", flush=True)
    print(f"\nALS, tuned by {len(study.trials)} trials in {spent:.0f} CPU-s: {_changed(tuned)}")
    print(
        f"EASE, tuned by a grid of {len(EASE_L2) * len(EASE_WEIGHTINGS)}: "
        f"{_changed(contenders['EASE, tuned'][1])}"
    )
    ease = max(("EASE", "EASE, tuned"), key=lambda label: evaluations[label].metrics["ndcg_at_10"])
    for label, least in (("ALS", 1.0), ("ALS, tuned", 0.97)):
        pair = (evaluations[label].ndcg_at_10, evaluations[ease].ndcg_at_10)
        ratio = interval(*pair, margin=0.03, level=0.95)
        lower, upper = 1 + ratio.lower, 1 + ratio.upper
        print(
            f"{label}, over {ease}: {1 + ratio.difference:.3f}, one-sided 95 % bounds {lower:.3f} "
            f"and {upper:.3f}\n"
        )
        of = "tuned ALS" if "tuned" in label else "the defaults"
        goal(f"{name}, lower bound of {of} over the better EASE", lower, least, at_most=False)
    return tuned


def _changed(parameters: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in parameters.items()
        if value != PARAMETERS[name]
    )


# -- users that the model has not seen -------------------------------------------------------------


def folded(name: str, data: Interactions, parameters: Mapping[str, Any], folds: int) -> None:
    """Each user folded in from the ratings they would be trained on, by a model trained without a
    fold of users.
    """
    training, held = split(data)
    whole = train(training, parameters)
    scores = np.zeros((0, 2))
    for fold in range(folds):
        absent, judged = (_fold(part, folds)[part.users] == fold for part in (training, held))
        kept = {
            name: getattr(training, name)[~absent]
            for name in ("users", "movies", "ratings", "rated_at")
        }
        model = train(
            replace(training, **kept), parameters
        )  # in the same rows: the candidates are the same
        known = with_arrays(whole, item_factors=model.item_vectors)
        vectors = np.array(whole.user_vectors(range(len(whole.user_ids))))
        for row in np.flatnonzero(_fold(training, folds) == fold).tolist():
            vectors[row] = Evidence.of_user(known, row).vector()
        folded_in = with_arrays(known, user_factors=vectors)
        both = [evaluate(model, held.select(judged)).ndcg_at_10 for model in (folded_in, whole)]
        scores = np.concatenate([scores, np.transpose(both)])
    ratio = interval(scores[:, 0], scores[:, 1], margin=0.03, level=0.95)
    print(
        f"\n{name}, {len(scores):,} users folded in: NDCG@10 {scores[:, 0].mean():.4f}, trained "
        f"{scores[:, 1].mean():.4f}; one-sided 95 % bounds of the ratio {1 + ratio.lower:.3f} and "
        f"{1 + ratio.upper:.3f}"
    )
    goal(f"{name}, NDCG@10 folded in over trained", 1 + ratio.difference, 0.97, at_most=False)


def _fold(data: Interactions, folds: int) -> NDArray[np.int64]:
    """(U,) the fold that each user belongs to, by a hash of the id."""
    return np.array([crc32(key.encode()) % folds for key in data.user_ids])


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    generated = interactions_of(
        frame(generate(users=9000, movies=2500, ratings=2_600_000, days=200, seed=2, drift=0.2))
    )
    try:
        ratings = movielens()
    except FileNotFoundError as error:
        print(error)
    else:
        warm_days(ratings)
        data = interactions_of(ratings)
        folded("MovieLens 100k", data, PARAMETERS, FOLDS)
        tuned = trainers("MovieLens 100k", data, 100)
        folded("MovieLens 100k, tuned", data, tuned, FOLDS)
    trainers("generated", generated, 25)
    trainers("generated, half stars, twenty years", interactions_of(twenty_years()), 8)
