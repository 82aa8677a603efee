"""What a day of two million rows takes: `python -m bench large_day`.

A CSV of 2 million ratings and a Parquet of the same are ingested and validated, each by the real
assets in a process of its own; the largest resident set is what the kernel says of it.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from bench.goals import goal
from bench.pipeline.platform import in_its_own

DAY, ROWS, USERS, MOVIES = "1998-03-30", 2_000_000, 200_000, 40_000
MIDNIGHT = 891_216_000  # seconds since 1970
LIMIT_MB = 1_000


def main() -> bool:
    """Print a row for each format; whether both stay below a gigabyte."""
    print(
        "| format | file | rows | seconds | CPU | largest resident set |\n|---|---|---|---|---|---|"
    )
    peaks = []
    for suffix in (".csv", ".parquet"):
        with tempfile.TemporaryDirectory(prefix="movierec-large-") as folder:
            file = _write(Path(folder), suffix)
            size = f"{file.stat().st_size / 1e6:.0f} MB"
            figures = json.loads(in_its_own(Path(folder), "bench.pipeline.large_day"))
        peaks.append(figures["peak_mb"])
        print(
            f"| `{suffix}` | {size} | {figures['rows']:,} | {figures['seconds']:.0f} | "
            f"{figures['cpu']:.0f} | {figures['peak_mb']:.0f} MB |",
            flush=True,
        )
    print()
    return goal("MB of a day of two million rows", max(peaks), LIMIT_MB, digits=0)


def _write(home: Path, suffix: str) -> Path:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "user_id": random.integers(USERS, size=ROWS),
            "movie_id": random.integers(MOVIES, size=ROWS),
            "rating": random.integers(1, 11, size=ROWS) / 2,
            "timestamp": MIDNIGHT + random.integers(86_400, size=ROWS),
        }
    )
    file = home / "warehouse" / "landing" / "ratings" / f"{DAY}{suffix}"
    file.parent.mkdir(parents=True)
    if suffix == ".csv":
        frame.to_csv(file, index=False)
    else:
        frame.to_parquet(file)
    return file


def _ingest() -> None:
    """In the home's own process: both assets of the day, then one line of figures."""
    import dagster as dg

    from movierec_assets.definitions import assemble
    from movierec_assets.partitions import RANGE_END, RANGE_START
    from movierec_assets.platform import wired

    began = time.perf_counter()
    with dg.DagsterInstance.get() as instance:
        done = (
            assemble(wired())
            .resolve_job_def("daily")
            .execute_in_process(
                instance=instance,
                tags={RANGE_START: DAY, RANGE_END: DAY},
                asset_selection=[dg.AssetKey("raw_ratings"), dg.AssetKey("validated_ratings")],
            )
        )
    assert done.success
    (chunk,) = wired().warehouse.chunks()[DAY]
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "rows": chunk.rows,
        "seconds": time.perf_counter() - began,
        "cpu": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    sys.exit(_ingest())
