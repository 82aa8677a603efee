"""Dagster definitions: one file a stage, one stage a box of the asset graph."""

import warnings

import dagster as dg

# Ranges of days in one run, owners and freshness are what this is built on. Dagster says of each,
# in every process and at every use, that it is beta: a page of text before a command's answer.
for category in (dg.BetaWarning, dg.PreviewWarning):
    warnings.filterwarnings("ignore", category=category)
