"""The name of every asset, in the order of a day. A stage names another by its key alone."""

import dagster as dg

RAW_RATINGS = dg.AssetKey("raw_ratings")
MOVIES = dg.AssetKey("movies")
VALIDATED_RATINGS = dg.AssetKey("validated_ratings")
ALS_MODEL = dg.AssetKey("als_model")
REGISTERED_MODEL = dg.AssetKey("registered_model")
GATE_VERDICT = dg.AssetKey("gate_verdict")
PREQUENTIAL_EVALUATION = dg.AssetKey("prequential_evaluation")
PRODUCTION_MODEL = dg.AssetKey("production_model")
SERVED_MODEL = dg.AssetKey("served_model")
TUNED_PARAMETERS = dg.AssetKey("tuned_parameters")

# Partitioned by day, in order: what the daily job makes.
DAILY = (
    RAW_RATINGS,
    VALIDATED_RATINGS,
    ALS_MODEL,
    REGISTERED_MODEL,
    GATE_VERDICT,
    PREQUENTIAL_EVALUATION,
)
