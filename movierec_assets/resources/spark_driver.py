"""Fits on a Spark cluster, through Dagster Pipes: no JVM lives in a process of the pipeline's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import dagster as dg
import numpy as np
import scipy.sparse as sp
from filelock import FileLock

from movierec_assets.errors import SparkError
from movierec_assets.settings import Settings
from movierec_assets.training import als, spark_als
from movierec_assets.training.als import ALS, Factors
from movierec_assets.training.spark import FAILURE, KERNELS, OF_MATRIX, loaded, saved
from movierec_assets.training.spark_als import SPARK_ALS
from movierec_assets.training.trainer import Fit, Trainer

IMPLICITS_KERNEL, OWN = "movierec_assets.training.spark", "movierec_assets.training.spark_own"
Launch = Callable[[Sequence[str]], object]  # runs a command to its end, and raises if it fails


@dataclass
class SparkDriver:
    """Fits on a cluster; arrays go there and come back as files.

    Attributes:
        folder: of the files, for the time of a fit; what a kill left there goes with the next fit.
        kernel: BLAS's on the executors, of the last fit.
    """

    master: str
    folder: Path
    launch: Launch
    kernel: str = ""

    def alternate(
        self,
        matrix: sp.csr_matrix,
        users: Factors,
        movies: Factors,
        regularization: float,
        iterations: int,
    ) -> tuple[Factors, Factors]:
        """Fit as `als.in_this_process` does, on the cluster.

        Raises:
            SparkError: the driver failed or was killed.
        """
        numbers = np.array([regularization, iterations], np.float64)
        given: dict[str, np.ndarray] = {"users": users, "movies": movies, "numbers": numbers}
        return self._solved(IMPLICITS_KERNEL, matrix, given)

    def factorize(
        self, matrix: sp.csr_matrix, factors: int, regularization: float, iterations: int, seed: int
    ) -> tuple[Factors, Factors]:
        """Fit by Spark's own ALS.

        Raises:
            SparkError: the driver failed or was killed.
        """
        numbers = np.array([factors, regularization, iterations, seed], np.float64)
        return self._solved(OWN, matrix, {"numbers": numbers})

    def _solved(
        self, program: str, matrix: sp.csr_matrix, given: Mapping[str, np.ndarray]
    ) -> tuple[Factors, Factors]:
        """Both sides' factors, by a program that gets these arrays and the matrix's."""
        with FileLock(f"{self.folder}.lock"):
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            try:
                of_matrix = {name: np.asarray(getattr(matrix, name)) for name in OF_MATRIX}
                saved(self.folder, {**of_matrix, **given})
                self.run(program)
                self.kernel = (self.folder / KERNELS).read_text(encoding="utf-8")
                users, movies = loaded(self.folder, "users", "movies")
                return users, movies
            finally:
                shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, program: str) -> None:
        """Run a program to its end; its folder holds what it needs.

        Raises:
            SparkError: it failed or was killed.
        """
        (self.folder / FAILURE).unlink(missing_ok=True)  # of one before
        try:
            self.launch([sys.executable, "-m", program, self.master, str(self.folder)])
        except Exception as error:
            failure = self.folder / FAILURE
            killed = f"the driver was killed ({error})"
            cause = failure.read_text(encoding="utf-8") if failure.exists() else killed
            raise SparkError(f"{cause}; the run's stderr has what Spark said") from error


def with_pipes(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Launch:
    """A launch whose log is the run's."""

    def launch(command: Sequence[str]) -> None:
        client = dg.PipesSubprocessClient()
        client.run(context=context.op_execution_context, command=command)

    return launch


def placed(trainer: Trainer, settings: Settings, launch: Launch | None = None) -> Trainer:
    """The trainer, fitting on the cluster where the settings say so or it knows no other place.

    Args:
        launch: of drivers; without it, whatever can be fitted in this process is.
    """
    master, folder = settings.spark_master, settings.warehouse / ".tmp-spark"
    driver = SparkDriver(master, folder, launch or partial(subprocess.run, check=True))
    if trainer is SPARK_ALS:
        fit: Fit = partial(spark_als.fit, factorize=driver.factorize)
    elif trainer is ALS and launch and settings.trainer == "spark":
        fit = partial(als.fit, alternate=driver.alternate)
    else:
        return trainer
    libraries = tuple(dict.fromkeys((*trainer.libraries, "pyspark")))
    return replace(trainer, fit=fit, libraries=libraries, kernel=lambda: driver.kernel)
