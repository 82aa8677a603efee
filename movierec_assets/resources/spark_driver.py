"""Fits on a Spark cluster, through Dagster Pipes: no JVM lives in a process of the pipeline's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import scipy.sparse as sp
from filelock import FileLock

from movierec_assets.errors import SparkError
from movierec_assets.ratings.interactions import Interactions
from movierec_assets.settings import Settings
from movierec_assets.training import als, spark_als
from movierec_assets.training.als import ALS, Sides
from movierec_assets.training.spark import FAILURE, KERNELS, OF_MATRIX, loaded, saved
from movierec_assets.training.spark_als import SPARK_ALS
from movierec_assets.training.trainer import (
    Arrays,
    Case,
    FitAll,
    Parameters,
    Trainer,
    Weights,
)
from movierec_serving.bundle import Model

IMPLICITS_KERNEL, OWN = "movierec_assets.training.spark", "movierec_assets.training.spark_own"
Launch = Callable[[Sequence[str]], object]  # runs a command to its end, and raises if it fails


@dataclass
class SparkDriver:
    """Fits on a cluster; arrays go there and come back as files.

    Attributes:
        folder: of the files, for the time of a fit; what a kill left there goes with the next fit.
        kernel: BLAS's on the executors, of the last start.
    """

    master: str
    folder: Path
    launch: Launch
    kernel: str = ""

    def alternate(self, problems: Iterable[als.Problem]) -> list[Sides]:
        """Fit each as `als.in_this_process` does, on the cluster.

        Raises:
            SparkError: the driver failed or was killed.
        """
        given = (
            {
                **_of_matrix(problem.matrix),
                "users": problem.users,
                "movies": problem.movies,
                "numbers": np.array([problem.regularization, problem.iterations], np.float64),
            }
            for problem in problems
        )
        return self._solved(IMPLICITS_KERNEL, given)

    def factorize(self, problems: Iterable[spark_als.Problem]) -> list[Sides]:
        """Fit each by Spark's own ALS.

        Raises:
            SparkError: the driver failed or was killed.
        """
        given = (
            {**_of_matrix(problem.matrix), "numbers": np.array(problem[1:], np.float64)}
            for problem in problems
        )
        return self._solved(OWN, given)

    def _solved(self, program: str, problems: Iterable[Mapping[str, np.ndarray]]) -> list[Sides]:
        """Both sides' factors of each problem, by one start of a program that gets these arrays."""
        with FileLock(f"{self.folder}.lock"):
            shutil.rmtree(self.folder, ignore_errors=True)
            try:
                parts = []
                for number, given in enumerate(problems):
                    parts.append(self.folder / str(number))
                    parts[-1].mkdir(parents=True)
                    saved(parts[-1], given)
                self.run(program)
                self.kernel = (self.folder / KERNELS).read_text(encoding="utf-8")
                return [_sides(part) for part in parts]
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
        fit_all: FitAll = partial(_fit_all, spark_als, driver.factorize)
    elif trainer is ALS and launch and settings.trainer == "spark":
        fit_all = partial(_fit_all, als, driver.alternate)
    else:
        return trainer
    libraries = tuple(dict.fromkeys((*trainer.libraries, "pyspark")))
    return replace(
        trainer,
        fit=partial(_fit, fit_all),
        fit_all=fit_all,
        libraries=libraries,
        kernel=lambda: driver.kernel,
    )


def _fit_all(
    family: Any,
    solve: Callable[[Iterable[Any]], list[Sides]],
    cases: Sequence[Case],
    parameters: Parameters,
    seed: int,
) -> list[Arrays]:
    """Pose all problems of a family's module, have them solved by one driver, and finish them."""
    sides = solve(
        family.posed(case.data, case.weights, parameters, seed, case.parent) for case in cases
    )
    return [
        family.finished(pair, case.data, case.weights)
        for pair, case in zip(sides, cases, strict=True)
    ]


def _fit(
    fit_all: FitAll,
    data: Interactions,
    weights: Weights,
    parameters: Parameters,
    seed: int,
    parent: Model | None = None,
) -> Arrays:
    return fit_all([Case(data, weights, parent)], parameters, seed)[0]


def _of_matrix(matrix: sp.csr_matrix) -> dict[str, np.ndarray]:
    return {name: np.asarray(getattr(matrix, name)) for name in OF_MATRIX}


def _sides(folder: Path) -> Sides:
    users, movies = loaded(folder, "users", "movies")
    return users, movies
