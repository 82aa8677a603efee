"""What a fit ran on: recorded beside a model, since bits are comparable only on the same."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

from threadpoolctl import threadpool_info


def blas_kernel() -> str:
    """The BLAS build and kernel that NumPy uses."""
    for pool in threadpool_info():
        if pool.get("user_api") == "blas":
            return f"{pool.get('internal_api')} {pool.get('version')} {pool.get('architecture')}"
    return "unknown"


def versions_of(libraries: Iterable[str]) -> dict[str, str]:
    """The version of each library."""
    return {name: version(name) for name in libraries}
