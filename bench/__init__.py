"""Benchmarks: measured figures beside their goals, `make bench ONLY=name`."""
