"""Tags of runs; a person sees them in Dagster's list of runs, and filters by them."""

VERSION = "movierec/version"  # of a deployment: the model version
ATTEMPT = "movierec/attempt"  # of a deployment: how often this version was tried, from 1
DAYS = "movierec/days"  # of a run over days: which, as `1998-03-02 to 1998-03-06`
REFUSED = "movierec/refused"  # of a run over days: those of them that were refused
