"""The name of every asset, in the order of a day. A stage names another by its key alone."""

import dagster as dg

COLLECTED_EVENTS = dg.AssetKey("collected_events")
RAW_RATINGS = dg.AssetKey("raw_ratings")
MOVIES = dg.AssetKey("movies")
VALIDATED_RATINGS = dg.AssetKey("validated_ratings")
REGISTERED_MODEL = dg.AssetKey("registered_model")
GATE_VERDICT = dg.AssetKey("gate_verdict")
PREQUENTIAL_EVALUATION = dg.AssetKey("prequential_evaluation")
EXPERIMENT_ARMS = dg.AssetKey("experiment_arms")
EXPERIMENT_RESULTS = dg.AssetKey("experiment_results")
RECOMMENDATION_LOG = dg.AssetKey("recommendation_log")
PRODUCTION_MODEL = dg.AssetKey("production_model")
SERVED_MODEL = dg.AssetKey("served_model")
TUNED_PARAMETERS = dg.AssetKey("tuned_parameters")

# Partitioned by day, in order: what the daily job makes, beside the models themselves.
INGESTED = (COLLECTED_EVENTS, RAW_RATINGS, VALIDATED_RATINGS)
TRAINED = (
    REGISTERED_MODEL,
    GATE_VERDICT,
    PREQUENTIAL_EVALUATION,
    RECOMMENDATION_LOG,
    EXPERIMENT_ARMS,
    EXPERIMENT_RESULTS,
)
DAILY = (*INGESTED, *TRAINED)

# The tag of the assets that make the model of a day, of each arm: the daily job takes them, too.
MODEL_OF_A_DAY = ("movierec/makes", "model")


def model_key(arm: str) -> dg.AssetKey:
    """The asset of an arm's models, which stands between validation and registration."""
    return dg.AssetKey(f"{arm}_model")
