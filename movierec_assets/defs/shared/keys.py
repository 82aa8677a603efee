"""The name of every asset, in the order of a day. A stage names another by its key alone."""

import dagster as dg

MODEL_OF_A_DAY = ("movierec/makes", "model")  # the tag by which jobs select the models' assets


def model_key(arm: str) -> dg.AssetKey:
    """The asset of an arm's models."""
    return dg.AssetKey(f"{arm}_model")


RAW_RATINGS = dg.AssetKey("raw_ratings")
MOVIES = dg.AssetKey("movies")
VALIDATED_RATINGS = dg.AssetKey("validated_ratings")
# What later stages name as their source; `definitions` puts another arm's asset in its place where
# that one is served.
ALS_MODEL = model_key("als")
REGISTERED_MODEL = dg.AssetKey("registered_model")
GATE_VERDICT = dg.AssetKey("gate_verdict")
PREQUENTIAL_EVALUATION = dg.AssetKey("prequential_evaluation")
PRODUCTION_MODEL = dg.AssetKey("production_model")
SERVED_MODEL = dg.AssetKey("served_model")
TUNED_PARAMETERS = dg.AssetKey("tuned_parameters")

# Partitioned by day, in order: what the daily job makes, beside the models themselves, which stand
# between validation and registration and have the tag `MODEL_OF_A_DAY`.
DAILY = (
    RAW_RATINGS,
    VALIDATED_RATINGS,
    REGISTERED_MODEL,
    GATE_VERDICT,
    PREQUENTIAL_EVALUATION,
)
