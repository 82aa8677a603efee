"""Tags of runs that the pipeline asks for; a person filters by them in Dagster's list of runs."""

VERSION = "movierec/version"  # of a deployment: the model version
ATTEMPT = "movierec/attempt"  # of a deployment: how often this version was tried, from 1
