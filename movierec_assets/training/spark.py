"""The driver's program: Spark runs implicit's own kernel on blocks of rows.

It is started by `resources/spark_driver.py`, in a process of its own, with a folder of arrays as
its only input and output; what it says goes to Dagster by Pipes. Executors need NumPy, SciPy and
implicit, and nothing of movierec: functions of a main program are sent to them whole.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np
import scipy.sparse as sp
from dagster_pipes import open_dagster_pipes
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

Factors = NDArray[np.float32]
Sides = tuple[Factors, Factors]
OF_MATRIX = ("data", "indices", "indptr", "shape")
Log = Callable[[str], None]
Work = Callable[[Any, Path, Log], None]
FAILURE, KERNELS = "failure.txt", "kernels.txt"  # beside the arrays: why it failed, and on what
BLOCK = 4_000_000  # ratings and rows: 32 to 64 MB, half of what Spark sends in one message
PATIENCE_S = 120.0  # until an executor has answered
# The JVMs only move bytes here: the optimising compiler would take more CPU than a small fit.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
PR_SET_PDEATHSIG = 1  # linux/prctl.h
CG_STEPS = 3  # as implicit's own


def connect(master: str, java_options: str) -> Any:
    """A context of Spark; all else about it is for spark-defaults.conf to say.

    Args:
        java_options: of the JVMs of driver and executors.

    Raises:
        RuntimeError: pyspark is not installed, or no master answers.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        from pyspark import SparkConf, SparkContext
    except ImportError as error:
        raise RuntimeError("pyspark is not installed: pip install 'movierec[spark]'") from error
    conf = SparkConf().setMaster(master).setAppName("movierec")
    conf.set("spark.ui.enabled", "false")  # it would listen on all interfaces
    conf.set("spark.ui.showConsoleProgress", "false")  # Pipes says where it is
    for part in ("driver", "executor"):
        conf.set(f"spark.{part}.defaultJavaOptions", java_options)
    if master.startswith("local"):
        conf.set("spark.driver.host", "127.0.0.1").set("spark.driver.bindAddress", "127.0.0.1")
    conf.set("spark.driver.maxResultSize", "0")  # factors are as large as they are
    try:
        return SparkContext(conf=conf)
    except Exception as error:
        raise RuntimeError(f"no Spark at {master}: {_said(error)}") from error


def kernels(context: Any) -> str:
    """The BLAS kernels of the executors, each as `machine.blas_kernel` names it.

    Raises:
        RuntimeError: no executor answers.
    """

    def kernel(_: int) -> str:
        import numpy  # noqa: F401  loads BLAS

        pools = threadpool_info()
        blas = next(pool for pool in pools if pool.get("user_api") == "blas")
        return f"{blas['internal_api']} {blas['version']} {blas['architecture']}"

    impatient = Timer(PATIENCE_S, context.cancelAllJobs)
    impatient.start()
    try:
        kernels = set(context.parallelize(range(8), 8).map(kernel).collect())
    except Exception as error:
        raise RuntimeError(
            f"no executor answers ({_said(error)}): does {context.master} run, and has it workers "
            "with free cores and memory, and with our Python's packages?"
        ) from error
    finally:
        impatient.cancel()
    return " and ".join(sorted(kernels))


def blocks_of(context: Any, matrix: sp.csr_matrix) -> Any:
    """Cut a matrix into blocks of rows with about as many entries each, kept by the executors.

    They are shuffled once: a task would carry its block along in every iteration else.

    Returns:
        An RDD of (first row, CSR matrix).
    """
    size = matrix.indptr + np.arange(matrix.shape[0] + 1)
    count = max(context.defaultParallelism, -(-int(size[-1]) // BLOCK))
    cuts = np.searchsorted(size, np.linspace(0, size[-1], count + 1)).tolist()
    pieces = [(n, (cuts[n], matrix[cuts[n] : cuts[n + 1]])) for n in range(count)]
    from pyspark import StorageLevel

    scattered = context.parallelize(pieces, count).partitionBy(count, int)
    return scattered.values().persist(StorageLevel.MEMORY_AND_DISK)


def half_step(blocks: Any, own: Any, other: Any, regularization: float) -> Factors:
    """Solve for all rows of one side, the other side's factors fixed.

    Args:
        blocks: as `blocks_of` gives them.
        own, other: broadcasts of both sides' factors; conjugate gradient starts from its own.
    """

    def solve(block: tuple[int, sp.csr_matrix]) -> tuple[int, Factors]:
        # A private name of implicit's; its public class solves for all rows or by another method.
        from implicit.cpu._als import least_squares_cg

        first, matrix = block
        rows = own.value[first : first + matrix.shape[0]].copy()
        with threadpool_limits(1, "blas"):
            # 0 threads: as many as OMP_NUM_THREADS says, which Spark sets to spark.task.cpus
            least_squares_cg(matrix, rows, other.value, regularization, 0, CG_STEPS)
        return first, rows

    solved: Factors = np.empty_like(own.value)
    for first, rows in blocks.map(solve).collect():
        solved[first : first + len(rows)] = rows
    return solved


def alternate(
    context: Any,
    matrix: sp.csr_matrix,
    sides: tuple[Factors, Factors],
    regularization: float,
    iterations: int,
    log: Log,
) -> tuple[Factors, Factors]:
    """Fit on the cluster, to the same bits as `als.in_this_process`."""
    by_user, by_movie = blocks_of(context, matrix), blocks_of(context, matrix.T.tocsr())
    log(
        f"{matrix.nnz:,} ratings in {by_user.getNumPartitions()} blocks of users and "
        f"{by_movie.getNumPartitions()} of movies"
    )
    users, movies = (context.broadcast(side) for side in sides)
    for iteration in range(1, iterations + 1):
        started = time.monotonic()
        users = _renewed(context, users, half_step(by_user, users, movies, regularization))
        movies = _renewed(context, movies, half_step(by_movie, movies, users, regularization))
        log(f"iteration {iteration} of {iterations}: {time.monotonic() - started:.1f} s")
    solved = users.value, movies.value
    for rows in (by_user, by_movie):  # there may be another fit to come
        rows.unpersist()
    for side in (users, movies):
        side.destroy()
    return solved


def _renewed(context: Any, old: Any, factors: Factors) -> Any:
    old.destroy()
    return context.broadcast(factors)


def _said(error: Exception) -> str:
    """What an error says; of Java's, the line between Py4J's words and the stack."""
    if isinstance(error, ConnectionError):
        return "the driver's JVM is gone"
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[1].lstrip(": ") if lines[0].startswith("An error occurred") else lines[0]


def saved(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays into the folder; they take the place of those of the same names."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def loaded(folder: Path, *names: str) -> list[NDArray[Any]]:
    """Read arrays of the folder."""
    return [np.load(folder / f"{name}.npy", allow_pickle=False) for name in names]


def loaded_matrix(folder: Path) -> sp.csr_matrix:
    """Read the weights of a fit, (U, I)."""
    data, indices, indptr, shape = loaded(folder, *OF_MATRIX)
    return sp.csr_matrix((data, indices, indptr), shape=tuple(shape.tolist()))


def fit(context: Any, folder: Path, log: Log) -> Sides:
    """Read a fit's arrays from its folder, and fit."""
    users, movies, numbers = loaded(folder, "users", "movies", "numbers")
    regularization, iterations = float(numbers[0]), int(numbers[1])
    matrix = loaded_matrix(folder)
    return alternate(context, matrix, (users, movies), regularization, iterations, log)


def one_by_one(fit: Callable[[Any, Path, Log], Sides]) -> Work:
    """Fits in the folders of a folder; the factors take the place of the arrays there."""

    def work(context: Any, folder: Path, log: Log) -> None:
        for part in sorted(part for part in folder.iterdir() if part.is_dir()):
            users, movies = fit(context, part, log)
            saved(part, {"users": users, "movies": movies})

    return work


def run_as_program(work: Work, computes: Callable[[Any], str], java_options: str) -> None:
    """Work on the master and the folder that the command line names.

    Args:
        work: with a context and the folder, saying how far it is.
        computes: what computes on the executors, on which the bits depend.
    """
    if sys.platform == "linux":  # a killed run leaves no fit on the cluster
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    master, folder = sys.argv[1], Path(sys.argv[2])
    try:
        with open_dagster_pipes() as pipes:
            context = connect(master, java_options)
            try:
                pipes.log.info(f"Spark {context.version} at {master}, {context.applicationId}")
                (folder / KERNELS).write_text(computes(context), encoding="utf-8")
                work(context, folder, pipes.log.info)
            finally:
                context.stop()
    except Exception as error:
        (folder / FAILURE).write_text(_said(error), encoding="utf-8")
        raise


if __name__ == "__main__":
    run_as_program(one_by_one(fit), kernels, JAVA_OPTIONS)
