"""Pure: ratings in, factors out. No Dagster, MLflow, DuckDB, HTTP, clock or environment."""
