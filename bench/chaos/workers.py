"""The part of the bench that forks: `python -m bench.chaos.workers SEED TIMES`; a line of JSON for
each place.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import dagster_mlflow  # noqa: F401
import implicit.als  # noqa: F401
import mlflow.pyfunc  # noqa: F401
from alembic.script import ScriptDirectory
from tqdm import tqdm

from bench.chaos.cases import Homes, cases, outcomes

MEMORY = Path("/dev/shm")  # noqa: S108 - nothing here outlives the bench, and a kill is not a power cut


def read_migrations_once() -> None:
    """Dagster and MLflow read all their migrations whenever they open a database: half of the time
    of a short run.
    """
    original, known = ScriptDirectory.from_config, {}

    def from_config(config: Any) -> Any:
        place = config.get_main_option("script_location")
        if place not in known:
            known[place] = original(config)
        return known[place]

    ScriptDirectory.from_config = from_config


def main(seed: int, times: int, only: str) -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    tqdm.monitor_interval = 0  # its thread would not be in the forks
    read_migrations_once()
    with tempfile.TemporaryDirectory(
        prefix="movierec-chaos-", dir=MEMORY if MEMORY.is_dir() else None
    ) as folder:
        homes = Homes(Path(folder))
        homes.prepare()
        wanted = [case for case in cases(seed, times) if only in case.place]
        table: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for outcome in outcomes(homes, wanted):
            row = table[outcome.case.place]
            row["hits"] += outcome.hit
            row["cases"] += 1
            row["relaunched"] += outcome.hit and outcome.case.job not in ("deploy", "mend", "tick")
            row["violations"] += len(outcome.violations)
            row["seconds"] += outcome.seconds
            done = sum(row["cases"] for row in table.values())
            print(f"{done:.0f} of {len(wanted)}: {outcome.case.place}", file=sys.stderr, flush=True)
            for violation in outcome.violations:
                print(f"violation: {outcome.case}: {violation}", file=sys.stderr, flush=True)
    print(json.dumps(table))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
