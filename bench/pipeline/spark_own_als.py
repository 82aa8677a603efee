"""Spark's own ALS, as a driver of its own; what it minimises is not the same."""

from __future__ import annotations

import sys

from bench.pipeline.spark_cluster import missing

if __name__ == "__main__" and missing() is None:
    from pyspark.ml.recommendation import ALS
    from pyspark.sql import SparkSession

    master, file, iterations = sys.argv[1:]
    session = SparkSession.builder.master(master).config("spark.ui.enabled", "false").getOrCreate()
    als = ALS(
        rank=64,
        maxIter=int(iterations),
        regParam=0.1,  # times each row's number of ratings
        implicitPrefs=True,
        alpha=1.0,
        userCol="user",
        itemCol="item",
        seed=0,
    )
    model = als.fit(session.read.parquet(file))
    model.userFactors.count(), model.itemFactors.count()  # else it does not fit
    session.stop()
