"""Dagster definitions: one file a stage, one stage a box of the asset graph."""

import warnings

import dagster as dg

# Ranges of days in one run are what this is built on; Dagster says "beta" of it once an asset, in
# every process.
warnings.filterwarnings("ignore", message=".*backfill_policy.*", category=dg.BetaWarning)
