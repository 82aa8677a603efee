"""The warehouse: tables in one DuckDB file."""
