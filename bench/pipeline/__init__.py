"""Measurements of the pipeline: backfills, growth, scale, overlap, convergence."""
