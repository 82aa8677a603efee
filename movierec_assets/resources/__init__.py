"""Adapters to what lies outside the process: files, DuckDB, MLflow, HTTP."""
