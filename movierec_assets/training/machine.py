"""What a fit ran on: recorded beside a model, since bits are comparable only on the same."""

from __future__ import annotations

from importlib.metadata import version

from threadpoolctl import threadpool_info

from movierec_assets.training.trainer import Trainer


def blas_kernel() -> str:
    """The BLAS build and kernel that NumPy uses."""
    for pool in threadpool_info():
        if pool.get("user_api") == "blas":
            return f"{pool.get('internal_api')} {pool.get('version')} {pool.get('architecture')}"
    return "unknown"


def libraries_of(trainer: Trainer) -> dict[str, str]:
    """The versions of the libraries that a trainer uses."""
    return {name: version(name) for name in trainer.libraries}
