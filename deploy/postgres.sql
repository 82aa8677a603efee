-- Beside the database of Dagster, which PostgreSQL's image makes from POSTGRES_DB.
CREATE DATABASE mlflow;
CREATE DATABASE events;
