"""A search for better parameters, on request, and their model as a challenger like any other."""

from dataclasses import replace
from typing import Any

import dagster as dg

from movierec_assets.defs.shared.challengers import Gate, origin, register_version
from movierec_assets.defs.shared.header import GROUP, OWNERS, POOL
from movierec_assets.defs.shared.keys import ALS_MODEL
from movierec_assets.defs.shared.pictures import search_pictures
from movierec_assets.defs.shared.production import reconcile_production
from movierec_assets.defs.training import Due, fit_model
from movierec_assets.resources.registry.model_registry import ModelRegistry
from movierec_assets.resources.stores.bundle_store import BundleStore
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import settings
from movierec_assets.tuning.search import TUNED, new_study, search
from movierec_serving.bundle import Bundle


class Search(dg.Config):
    """How long to search; trials of an earlier search on the same data count."""

    trials: int = 60


@dg.asset(
    deps=[ALS_MODEL],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"optuna", "implicit"},
    pool=POOL,
)
def tuned_parameters(
    context: dg.AssetExecutionContext,
    config: Search,
    warehouse: Warehouse,
    bundle_store: BundleStore,
    model_registry: ModelRegistry,
    mlflow: dg.ResourceParam[Any],
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """ALS parameters searched for on walk-forward slices of the newest model's data, without the
    gate's holdout.

    The best are trained cold on that day, registered and judged. If they pass, theirs is the day's
    model, and later days take them, until others pass or the settings of training change.
    """
    models = warehouse.models()
    trained = [
        one for one in models.values() if one.identity is not None and one.data_until == one.day
    ]
    if not trained:
        raise dg.Failure("there is no model yet; materialize als_model first", allow_retries=False)
    newest, chosen = trained[-1], settings()
    base, partitions = chosen.fit_parameters, warehouse.partitions(newest.day, chosen.window_days)
    current = next((found for since, found in warehouse.tuned(base) if since <= newest.day), base)
    interactions = warehouse.interactions(newest.day, chosen.window_days)
    now = Due(newest.day, current, partitions, interactions=interactions)
    study = new_study(now.identity, f"sqlite:///{chosen.warehouse / 'tuning.db'}", chosen.seed)
    found = search(study, interactions, newest.day, current, chosen.seed, config.trials)
    metadata: dict[str, Any] = {
        "day": newest.day,
        "data": now.digest,
        "trials": sum(trial.state.is_finished() for trial in study.trials),
        "NDCG@10 on the slices": study.best_value,
        "with the current parameters": study.trials[0].value,
        **{name: found[name] for name in TUNED},
        **search_pictures(study),
    }
    if found == current:
        metadata["verdict"] = "the current parameters are the best found"
        return dg.MaterializeResult(metadata=metadata)
    model = fit_model(replace(now, parameters=found), bundle_store)
    bundle = Bundle.open(bundle_store.served(str(model.identity)))
    version = register_version(
        mlflow, model_registry, bundle, model, {**origin(context), "tuned": "true"}
    )
    gate = Gate(chosen, bundle_store, model_registry)
    verdict = gate.verdict(model, version, model_registry.versions(), models)
    warehouse.record_tuned(model, version.number, base, found, verdict.decision)
    reconcile_production(
        context.instance, model_registry, f"tuned_parameters, run {context.run.run_id}"
    )
    judged = {"version": version.number, "verdict": verdict.decision, "reason": verdict.reason}
    return dg.MaterializeResult(metadata={**metadata, **judged})


tuning_job = dg.define_asset_job(
    "tuning",
    dg.AssetSelection.assets(tuned_parameters),
    description="Search for better parameters of ALS; launch it by hand.",
)
