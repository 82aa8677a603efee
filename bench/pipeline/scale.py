"""One more day at 25 million ratings, from the delivered file to the verdict: `python -m bench
scale`.

A generated history is written into a warehouse as if it had been ingested, its last day but one
gets a cold model by the real assets, and the last day is delivered and run by them, warm. Fits have
`ITERATIONS` iterations, cold or warm: a cold one of 15 at this size says nothing about a day.
BENCH_RATINGS asks for fewer ratings.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
from threadpoolctl import threadpool_limits

from bench.goals import goal
from bench.models.generator import generate
from bench.pipeline.backfill import ASSETS, ROOT, measured, range_tags, warm_up

RATINGS = int(
    os.environ.get("BENCH_RATINGS", "27_300_000")
)  # a tenth fewer are left: a user rates a movie once
SIZE = {"users": RATINGS // 181, "movies": 59_000, "ratings": RATINGS, "days": 365}
BEFORE, DAY = "2020-12-29", "2020-12-30"
ITERATIONS = 2
Figures = dict[str, Any]


def main() -> bool:
    """Prepare, run the day, print CPU by phase; whether every goal is met."""
    with tempfile.TemporaryDirectory(prefix="movierec-bench-") as folder:
        home = Path(folder)
        shutil.copy(ROOT / "dagster.yaml", home)
        (home / "warehouse" / "dagster").mkdir(parents=True)
        parts = {name: _part(name, home) for name in ("history", "parent", "day", "fits")}
    for name, figures in parts.items():
        print(
            f"{name:8} {figures['cpu']:7.1f} s CPU {figures['wall']:7.1f} s wall "
            f"{figures['memory']:6.0f} MB"
        )
    for phase, seconds in parts["day"]["phases"].items():
        print(f"  {phase:24} {seconds:7.2f} s CPU")
    print(f"{parts['history']['rows']:,} ratings; {parts['day']['verdict']}")
    alone = parts["fits"]["fits"]
    return all(
        [
            goal(
                "scale, CPU of a day over its fits alone",
                parts["day"]["cpu"] / alone,
                1.3,
                digits=2,
            ),
            goal("scale, peak GB of a day", parts["day"]["memory"] / 1024, 2, digits=2),
        ]
    )


def _part(name: str, home: Path) -> Figures:
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("MOVIEREC_")},
        "DAGSTER_HOME": str(home),
        "MOVIEREC_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "MOVIEREC_DAGSTER_DIR": str(home / "warehouse" / "dagster"),
        "MOVIEREC_ITERATIONS": str(ITERATIONS),
        "MOVIEREC_WARM_ITERATIONS": str(ITERATIONS),
        "MOVIEREC_PARTITION_START": "2020-01-01",
        "MOVIEREC_PARTITION_END": DAY,
    }
    with (home / f"{name}.log").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-m", "bench.pipeline.scale", name],
            cwd=home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{(home / f'{name}.log').read_text()[-3000:]}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def history() -> Figures:
    """Every day but the last in the warehouse, the last one in the landing zone; each user rates a
    movie once.
    """
    from movierec_assets.platform import wired
    from movierec_assets.ratings.schema import SCHEMA_VERSION

    adapters = wired()
    rows = 0

    def work() -> None:
        nonlocal rows
        days = list(generate(**SIZE))
        codes = np.concatenate(
            [ratings.users.astype(np.int64) * SIZE["movies"] + ratings.movies for ratings in days]
        )
        first = np.zeros(len(codes), bool)
        first[np.unique(codes, return_index=True)[1]] = True
        rows = int(first.sum())
        at = 0
        adapters.landing_zone.deliver_movies(b"movie_id,title,year,genres\nm0,One,2000,Drama\n")
        with adapters.warehouse.connect() as connection:
            for ratings in days:
                frame = ratings.frame()[first[at : at + len(ratings.users)]]
                at += len(ratings.users)
                if ratings.day == DAY:
                    text = frame.rename(columns={"rated_at": "timestamp"})
                    adapters.landing_zone.deliver(DAY, text.to_csv(index=False).encode())
                    continue
                connection.execute(
                    """INSERT INTO validated_ratings BY NAME SELECT CAST(? AS DATE) AS day,
                      user_id, movie_id, rating,
                       row_number() OVER () - 1 AS record, make_timestamp(rated_at * 1000000) AS
                         rated_at FROM frame""",
                    [ratings.day],
                )
                connection.execute(
                    """INSERT INTO chunks (day, sha256, file, received_at, current, verdict,
                      schema_version, data_version, max_rejected_share, rows, validated)
                       VALUES ($1, $2, 'generated', now()::TIMESTAMP, true, 'accepted',
                               $3, $2 || '/' || $3, 0.05, $4, $4)""",
                    [ratings.day, f"{at:064d}", SCHEMA_VERSION, len(frame)],
                )

    return {**measured(work), "rows": rows}


def parent() -> Figures:
    """The model of the day before, by the real assets from `als_model` on."""
    return _run(BEFORE, ASSETS[2:])


def day() -> Figures:
    """The day itself."""
    from movierec_assets.platform import wired

    figures = _run(DAY, ASSETS)
    version = wired().model_registry.versions()[-1]
    return {**figures, "verdict": f"{version.gate}: {version.tags['gate_reason']}"}


def _run(of: str, assets: tuple[str, ...]) -> Figures:
    from movierec_assets.definitions import assemble
    from movierec_assets.platform import wired

    warm_up()
    phases: dict[str, float] = {}
    with dg.DagsterInstance.get() as instance:
        job = assemble(wired()).resolve_job_def("daily")

        def phase(asset: str) -> None:
            begun = time.process_time()
            assert job.execute_in_process(
                instance=instance, tags=range_tags([of]), asset_selection=[dg.AssetKey(asset)]
            ).success
            phases[asset] = time.process_time() - begun

        figures = measured(lambda: [phase(asset) for asset in assets])
    return {**figures, "phases": phases}


def fits() -> Figures:
    """The day's two fits and nothing else: implicit's `fit` on the same matrices, for as many
    iterations.
    """
    from implicit.cpu.als import AlternatingLeastSquares

    from movierec_assets.evaluation.splits import temporal_holdout
    from movierec_assets.platform import wired
    from movierec_assets.ratings.interactions import confidence
    from movierec_assets.settings import settings
    from movierec_assets.training.als import ALS

    values, random = ALS.parameters(settings()), np.random.default_rng(0)
    used = 0.0

    def work() -> None:
        nonlocal used
        everything = wired().warehouse.interactions(DAY, None)
        for data in (everything.select(~temporal_holdout(everything)), everything):
            given = ALS.sized(values, len(everything))
            matrix = data.matrix(confidence(data, DAY, given))
            model = AlternatingLeastSquares(
                given["factors"], regularization=given["regularization"], iterations=ITERATIONS
            )
            model.user_factors, model.item_factors = (
                random.random((len(ids), given["factors"]), np.float32) * np.float32(0.1)
                for ids in (data.user_ids, data.movie_ids)
            )
            with threadpool_limits(1, "blas"):
                begun = time.process_time()
                model.fit(matrix, show_progress=False)
                used += time.process_time() - begun

    return {**measured(work), "fits": used}


if __name__ == "__main__":
    parts: dict[str, Callable[[], Figures]] = {
        "history": history,
        "parent": parent,
        "day": day,
        "fits": fits,
    }
    print(json.dumps(parts[sys.argv[1]]()))
