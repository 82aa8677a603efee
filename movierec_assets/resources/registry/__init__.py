"""MLflow: runs, versions, the alias of production. MLflow's names stay in here."""
