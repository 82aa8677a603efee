"""The pipeline's state for Prometheus: read from what is stored, also while nothing runs."""
