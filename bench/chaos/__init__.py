"""Kills and full disks, at named points and at random moments, and what is broken after: `python -m
bench chaos`.

CHAOS_SEED gives the seed (printed in any case), CHAOS_TIMES how often each point is hit with each
signal (kill -9 and SIGTERM), CHAOS_PLATFORM how often each kind of the platform's own processes is.
Runs are killed in forked children of one process that has everything loaded, on clones of small
homes; daemon, code server and endpoints are real ones.
"""

from __future__ import annotations

import json
import logging
import os
import random
import subprocess
import sys
from pathlib import Path

from bench.goals import goal

ROOT = Path(__file__).parents[2]


def main() -> bool:
    """Print a row for each place and the violations; whether there are none."""
    from bench.chaos.processes import kills  # Dagster takes seconds to load

    seed = int(os.environ.get("CHAOS_SEED", random.SystemRandom().randrange(10**6)))
    times = int(os.environ.get("CHAOS_TIMES", "5"))
    print(f"chaos: seed {seed}, {times} times each place with each signal", flush=True)
    one_thread = {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }  # a fork has no threads but its own
    command = [sys.executable, "-m", "bench.chaos.workers", str(seed), str(times)]
    environment = {**os.environ, **one_thread, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    table = json.loads(done.stdout.splitlines()[-1])
    logging.disable(logging.WARNING)
    table |= kills(seed, int(os.environ.get("CHAOS_PLATFORM", "2")))
    print(
        "| place | tried | hit | by itself | one relaunch | violations |\n|---|---|---|---|---|---|"
    )
    for place, row in sorted(table.items()):
        numbers = (
            row["cases"],
            row["hits"],
            row["hits"] - row["relaunched"],
            row["relaunched"],
            row["violations"],
        )
        print(f"| {place} | " + " | ".join(f"{number:.0f}" for number in numbers) + " |")
    hits, violations = (sum(row[name] for row in table.values()) for name in ("hits", "violations"))
    print(f"{hits:.0f} kills and full disks")
    unreached = sum(not row["hits"] for row in table.values())  # the code has moved, as a rule
    return all(
        [
            goal("chaos violations", violations, 0, digits=0),
            goal("chaos places that no kill reached", unreached, 0, digits=0),
        ]
    )


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
