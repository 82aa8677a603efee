"""The experiment as MLflow's UI shows it: what it is about, and a table of all runs with useful
columns.

The table is a view that the UI keeps in a tag of the experiment and opens by its key; without the
tag it opens with its default columns. Links to the pages are `registry_reader`'s.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

VIEW = "movierec"
# Else MLflow's UI opens with what it has for agents and traces.
TRAINING = "workflowType=machine_learning"
COLUMNS = (
    "metrics.`ndcg_at_10`",
    "metrics.`popularity_ndcg_at_10`",
    "metrics.`gate_production_difference`",
    "metrics.`users`",
    "metrics.`ratings`",
    "tags.`fit`",
)


def prepare_experiment(client: MlflowClient, name: str, artifacts: str | None) -> None:
    """Create the experiment if there is none, and give it the tags by which MLflow's UI shows it.

    Args:
        artifacts: where its files go; None where MLflow's server decides.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        experiment = client.get_experiment(client.create_experiment(name, artifacts))
    for key, value in _shown_by().items():
        if experiment.tags.get(key) != value:
            client.set_experiment_tag(experiment.experiment_id, key, value)


def _shown_by() -> dict[str, str]:
    """The tags that MLflow's UI reads: what the experiment is about, and the table's view."""
    view = {
        "selectedColumns": COLUMNS,
        "searchFilter": "tags.`partition` != ''",  # without the runs that only hold others
        "orderByKey": "tags.`partition`",
        "orderByAsc": False,
    }
    return {
        "mlflow.experimentKind": "custom_model_development",
        f"mlflow.sharedViewState.{VIEW}": json.dumps(view),
    }
