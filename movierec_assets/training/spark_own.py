"""The driver's program of Spark's own ALS. As `spark.py`, it has a folder of arrays as its only
input and output, and is started by `resources/spark_driver.py`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import scipy.sparse as sp

from movierec_assets.training.spark import (
    Factors,
    Log,
    Sides,
    loaded,
    loaded_matrix,
    one_by_one,
    run_as_program,
)

OPTIONS = "-XX:+UseSerialGC"  # with the optimising compiler: it is the JVMs that compute here


def factorize(
    context: Any, matrix: sp.csr_matrix, numbers: Any, log: Log
) -> tuple[Factors, Factors]:
    """Fit by `pyspark.ml.recommendation.ALS`, in its own number of blocks whatever the cluster.

    Args:
        matrix: (U, I) weights, of which 0 is left out.
        numbers: factors, regularization of each rating, iterations, seed.
    """
    from pyspark.ml.recommendation import ALS
    from pyspark.sql import SparkSession

    factors, regularization, iterations, seed = numbers
    rated = matrix.tocoo()
    there = rated.data != 0
    columns = {"user": rated.row, "movie": rated.col, "weight": rated.data}
    table = pa.table({name: column[there] for name, column in columns.items()})
    started = time.monotonic()
    als = ALS(
        rank=int(factors),
        maxIter=int(iterations),
        regParam=float(regularization),
        implicitPrefs=True,
        alpha=1.0,  # the weights have it
        userCol="user",
        itemCol="movie",
        ratingCol="weight",
        seed=int(seed),
    )
    model = als.fit(SparkSession(context).createDataFrame(table))
    users, movies = matrix.shape
    solved = (
        _rows(model.userFactors, users, model.rank),
        _rows(model.itemFactors, movies, model.rank),
    )
    seconds = time.monotonic() - started
    log(f"{table.num_rows:,} ratings, {iterations:.0f} iterations: {seconds:.1f} s")
    return solved


def _rows(frame: Any, rows: int, factors: int) -> Factors:
    """(rows, F) of a frame of ids and factors; zeros for whom there is none."""
    solved = frame.toArrow()
    result: Factors = np.zeros((rows, factors), np.float32)
    known = solved["id"].to_numpy()
    result[known] = solved["features"].combine_chunks().flatten().to_numpy().reshape(-1, factors)
    return result


def fit(context: Any, folder: Path, log: Log) -> Sides:
    """Read a fit's arrays from its folder, and fit."""
    (numbers,) = loaded(folder, "numbers")
    return factorize(context, loaded_matrix(folder), numbers, log)


if __name__ == "__main__":
    run_as_program(one_by_one(fit), lambda context: f"Spark {context.version}", OPTIONS)
