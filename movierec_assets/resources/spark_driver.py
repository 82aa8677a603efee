"""Fits on a Spark cluster, through Dagster Pipes: no JVM lives in a process of the pipeline's."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import dagster as dg
import numpy as np
import scipy.sparse as sp
from filelock import FileLock

from movierec_assets.errors import SparkError
from movierec_assets.settings import Settings
from movierec_assets.training import als
from movierec_assets.training.als import ALS, Factors
from movierec_assets.training.plan import Fit
from movierec_assets.training.spark import FAILURE, KERNELS

PROGRAM = "movierec_assets.training.spark"
Launch = Callable[[Sequence[str]], object]  # runs a command to its end, and raises if it fails


@dataclass
class SparkDriver:
    """Alternates least squares on a cluster; arrays go there and come back as files.

    Attributes:
        folder: of the files, for the time of a fit; what a kill left there goes with the next fit.
        kernel: BLAS's on the executors, of the last fit.
    """

    master: str
    folder: Path
    launch: Launch
    kernel: str = ""

    def __call__(
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
        with FileLock(f"{self.folder}.lock"):
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            try:
                given = {
                    **{name: getattr(matrix, name) for name in ("data", "indices", "indptr")},
                    "users": users,
                    "movies": movies,
                    "numbers": np.array([regularization, iterations], np.float64),
                }
                for name, array in given.items():
                    np.save(self.folder / f"{name}.npy", array, allow_pickle=False)
                self._run()
                self.kernel = (self.folder / KERNELS).read_text(encoding="utf-8")
                return self._loaded("users"), self._loaded("movies")
            finally:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self) -> None:
        try:
            self.launch([sys.executable, "-m", PROGRAM, self.master, str(self.folder)])
        except Exception as error:
            failure = self.folder / FAILURE
            killed = f"the driver was killed ({error})"
            cause = failure.read_text(encoding="utf-8") if failure.exists() else killed
            raise SparkError(f"{cause}; the run's stderr has what Spark said") from error

    def _loaded(self, name: str) -> Factors:
        return np.asarray(np.load(self.folder / f"{name}.npy", allow_pickle=False))


def placed(plan: Fit, settings: Settings, context: dg.AssetExecutionContext) -> Fit:
    """The plan, with its fits on the cluster where the settings say so and the family can be."""
    if settings.trainer != "spark" or plan.recipe.trainer is not ALS:
        return plan

    def launch(command: Sequence[str]) -> None:
        client = dg.PipesSubprocessClient()
        client.run(context=context.op_execution_context, command=command)

    driver = SparkDriver(settings.spark_master, settings.warehouse / ".tmp-spark", launch)
    fit, libraries = partial(als.fit, alternate=driver), (*ALS.libraries, "pyspark")
    trainer = replace(ALS, fit=fit, libraries=libraries, kernel=lambda: driver.kernel)
    return replace(plan, recipe=replace(plan.recipe, trainer=trainer))
