"""A search for better parameters, on request, and their model as a challenger like any other."""

from dataclasses import replace
from typing import Any

import dagster as dg

from movierec_assets.defs.shared.challengers import Gate, origin, register_version
from movierec_assets.defs.shared.header import GROUP, OWNERS, POOL, STAGE
from movierec_assets.defs.shared.keys import TUNED_PARAMETERS
from movierec_assets.defs.shared.pictures import search_pictures
from movierec_assets.defs.shared.production import reconcile_production
from movierec_assets.defs.shared.recipes import recipes
from movierec_assets.defs.shared.sharing import share
from movierec_assets.ports import Bundles, Registry
from movierec_assets.resources.spark_driver import placed
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings
from movierec_assets.training.day import train_day
from movierec_assets.training.plan import Fit
from movierec_assets.tuning.search import new_study, search, searched
from movierec_serving.bundle import Bundle


class Search(dg.Config):
    """How long to search; trials of an earlier search on the same data count."""

    trials: int = 60


def tuned_parameters(model: dg.AssetKey) -> dg.AssetsDefinition:
    """The asset, for the parameters of the models of `model`."""
    make = dg.asset(
        name="tuned_parameters",
        deps=[model],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"optuna"},
        tags={STAGE: "tuning"},
        pool=POOL,
    )
    return make(_tune)


def _tune(
    context: dg.AssetExecutionContext,
    config: Search,
    warehouse: Warehouse,
    bundle_store: dg.ResourceParam[Bundles],
    model_registry: dg.ResourceParam[Registry],
    mlflow: dg.ResourceParam[Any],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Parameters searched for on walk-forward slices of the newest model's data, without the gate's
    holdout.

    The best are trained cold on that day, registered and judged. If they pass, theirs is the day's
    model, and later days take them, until others pass or the settings of training change.
    """
    newest = _newest_trained(warehouse)
    interactions = warehouse.interactions(newest, settings.window_days)
    recipe = recipes(warehouse.arm, settings, warehouse)(newest)
    recipe = replace(recipe, trainer=placed(recipe.trainer, settings))
    now = Fit(newest, recipe, warehouse.partitions(newest, settings.window_days))
    study = new_study(now.identity, f"sqlite:///{settings.warehouse / 'tuning.db'}", recipe.seed)
    best = search(study, interactions, newest, recipe, config.trials)
    metadata: dict[str, Any] = {
        "day": newest,
        "data": now.digest,
        "trials": sum(trial.state.is_finished() for trial in study.trials),
        "NDCG@10 on the slices": study.best_value,
        "with the current parameters": study.trials[0].value,
        **{name: best[name] for name in searched(recipe)},
        **search_pictures(study),
    }
    if best == recipe.parameters:
        metadata["verdict"] = "the current parameters are the best found"
        return dg.MaterializeResult(metadata=metadata)
    proposed = replace(now, recipe=replace(recipe, parameters=best, by_size=frozenset()))
    trained = train_day(proposed, interactions, None, bundle_store.write_twin)
    bundle_store.write_served(trained.served)
    bundle = Bundle.open(bundle_store.served(proposed.identity))
    tags = {**origin(context), "tuned": "true"}
    version = register_version(mlflow, model_registry, bundle, trained.model, tags)
    gate = Gate(settings, bundle_store, model_registry, warehouse)
    verdict = gate.verdict(trained.model, version, model_registry.versions(), warehouse.model)
    base = recipe.trainer.parameters(settings)
    warehouse.record_tuned(trained.model, version.number, base, best, verdict.decision)
    reconcile_production(context.instance, model_registry, "tuned_parameters", context.run.run_id)
    share(context, bundle_store.share)
    judged = {"version": version.number, "verdict": verdict.decision, "reason": verdict.reason}
    return dg.MaterializeResult(metadata={**metadata, **judged})


def _newest_trained(warehouse: Warehouse) -> str:
    """The last day that has a model of its own ratings."""
    models = warehouse.models().values()
    trained = [model.day for model in models if model.identity and model.data_until == model.day]
    if not trained:
        raise dg.Failure(
            f"there is no model yet; materialize {warehouse.arm}_model first", allow_retries=False
        )
    return trained[-1]


tuning_job = dg.define_asset_job(
    "tuning",
    dg.AssetSelection.assets(TUNED_PARAMETERS),
    description="Search for better parameters of the served model; launch it by hand.",
    owners=OWNERS,
)
