"""Fits on Spark have the local ones' bits. A cluster, and kills: bench/pipeline/spark.py."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from movierec_assets.cli.verify import verify
from movierec_assets.errors import SparkError
from movierec_assets.resources.spark_driver import SparkDriver
from movierec_assets.settings import settings
from movierec_assets.training.als import Problem
from movierec_serving.bundle import Bundle, Evidence
from tests.conftest import Platform
from tests.support.generate import days_from

DAYS = days_from("1998-03-02", 2)  # cold, warm
needs_spark = pytest.mark.skipif(
    find_spec("pyspark") is None or shutil.which("java") is None,
    reason="needs a Java runtime and pyspark: make spark",
)


@needs_spark
def test_a_day_fitted_on_spark_is_the_local_one_bit_by_bit(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_TRAINER", "spark")
    monkeypatch.setenv("MOVIEREC_SPARK_MASTER", "local[2]")
    settings.cache_clear()
    left = platform.root / ".tmp-spark" / "data.npy"  # by a kill
    left.parent.mkdir()
    left.touch()
    platform.deliver(*DAYS)
    result = platform.run(DAYS[0], DAYS[1])
    assert result.success
    assert not left.parent.exists()
    rebuilt = list(verify(settings(), 2, since=DAYS[0]))  # verify fits in this process
    assert [one.manifest.fit for one in rebuilt] == ["cold", "warm"]
    assert all(one.identical for one in rebuilt)
    served = Bundle.open(platform.bundle_store.served(rebuilt[1].manifest.identity))
    assert "pyspark" in served.manifest.libraries
    assert (served.seen_confidence < 0).any()
    said = [entry.user_message for entry in platform.instance.all_logs(result.run_id)]
    assert any("iteration 2 of 2" in line for line in said)
    # Twin and served model of a day share one start of Spark.
    assert sum("at local[2]" in line for line in said) == len(DAYS)


@needs_spark
def test_sparks_own_als_is_served_judged_and_rebuilt_as_any_family(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = days_from("1998-03-02", 3)
    platform.deliver(first, second, third, users=120, movies=120, ratings=1500)
    assert platform.run(first, second).success
    monkeypatch.setenv("MOVIEREC_MODEL", "spark_als")
    monkeypatch.setenv("MOVIEREC_SPARK_MASTER", "local[2]")
    settings.cache_clear()
    result = platform.run(third)
    assert result.success
    judged = platform.events("gate_verdict")[-1].metadata
    assert judged["verdict"].value == "passed", judged["reason"].value
    said = [entry.user_message for entry in platform.instance.all_logs(result.run_id)]
    assert any("15 iterations" in line for line in said)
    (rebuilt,) = verify(settings(), 3)
    assert rebuilt.sound
    assert rebuilt.manifest.blas.startswith("Spark 4")
    served = Bundle.open(platform.bundle_store.served(rebuilt.manifest.identity))
    # A known user's half-step of the family is Spark's own.
    vectors = [Evidence.of_user(served, row).vector() for row in range(len(served.user_ids))]
    assert np.allclose(vectors, served.family.arrays["user_factors"], atol=1e-5)


@needs_spark
def test_executors_with_another_kernel_are_named_in_the_manifest(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_TRAINER", "spark")
    monkeypatch.setenv("MOVIEREC_ITERATIONS", "1")
    asked = "--conf spark.executorEnv.OPENBLAS_CORETYPE=Nehalem pyspark-shell"
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", asked)
    settings.cache_clear()
    platform.deliver(DAYS[0])
    assert platform.run(DAYS[0]).success
    (found,) = verify(settings(), 1)
    assert "Nehalem" in found.manifest.blas
    assert found.sound


def test_a_driver_that_ends_badly_is_an_error_that_says_why_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    def killed(command: Sequence[str]) -> None:
        subprocess.run(["sh", "-c", "kill -9 $$"], check=True)

    def refused(command: Sequence[str]) -> None:
        program = 'echo "no Spark at $1" > "$2/failure.txt"; exit 1'
        subprocess.run(["sh", "-c", program, "sh", *command[-2:]], check=True)

    matrix, factors = sp.csr_matrix(np.eye(3, dtype=np.float32)), np.ones((3, 2), np.float32)
    for launch, cause in ((killed, "SIGKILL"), (refused, "no Spark at spark://nowhere:1")):
        driver = SparkDriver("spark://nowhere:1", tmp_path / "spark", launch)
        with pytest.raises(SparkError, match=cause):
            driver.alternate([Problem(matrix, factors, factors, 1.0, 1)])
        assert not driver.folder.exists()
