"""Spark's own ALS worked out by NumPy, for tests without a Java runtime."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import scipy.sparse as sp

from movierec_assets.training import spark_als
from movierec_assets.training.als import Sides
from movierec_assets.training.spark_als import SPARK_ALS, Problem
from movierec_assets.training.trainer import Trainer


def factorize(problem: Problem) -> Sides:
    """What Spark minimises, solved row by row; the users' side last, as there."""
    matrix, factors, regularization, iterations, seed = problem
    users = np.random.default_rng(seed).random((matrix.shape[0], factors))
    by_movie, by_user = matrix.T.tocsr(), matrix.tocsr()
    for _ in range(iterations):
        movies = _half_step(by_movie, users, regularization)
        users = _half_step(by_user, movies, regularization)
    return users.astype(np.float32), movies.astype(np.float32)


def _half_step(matrix: sp.csr_matrix, other: np.ndarray, regularization: float) -> np.ndarray:
    gram, solved = other.T @ other, np.zeros((matrix.shape[0], other.shape[1]))
    for row in range(matrix.shape[0]):
        own = slice(*matrix.indptr[row : row + 2])
        weights, rated = matrix.data[own].astype(np.float64), other[matrix.indices[own]]
        if praises := np.count_nonzero(weights > 0):
            penalty = regularization * praises * np.eye(len(gram))
            left = gram + (rated.T * np.abs(weights)) @ rated + penalty
            solved[row] = np.linalg.solve(left, rated.T @ np.where(weights > 0, 1 + weights, 0))
    return solved


TRAINER: Trainer = replace(SPARK_ALS, fit=partial(spark_als.fit, factorize=factorize))
