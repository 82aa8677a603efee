"""The Dagster code location: from a day's ratings to a model in production."""
