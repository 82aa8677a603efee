"""The product's jobs, by a name that another process or Dagster itself can look up."""

from __future__ import annotations

from functools import lru_cache

import dagster as dg

from movierec_assets.definitions import assemble
from movierec_assets.platform import wired


@lru_cache(maxsize=1)  # a run asks four times
def job_named(name: str, run: int) -> dg.JobDefinition:
    """A job of the definitions; Dagster remembers it, so that each run has one of its own."""
    return assemble(wired()).resolve_job_def(name)
