"""What decides a model, and the digest of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

TRAINING_VERSION = "1"  # raise it when a change of the training code changes the factors


def partitions_digest(partitions: Sequence[tuple[str, str]]) -> str:
    """sha256 (hex) of the (day, data version) of every partition, in order of the days."""
    return _digest(sorted(partitions))


def model_identity(
    *,
    parameters: Mapping[str, object],
    seed: int,
    fit: str,
    parent: str | None,
    partitions_digest: str,
    data_until: str,
) -> str:
    """sha256 (hex) of all that decides a model: the same inputs have one identity, others have another.

    The git commit, libraries and the BLAS kernel are recorded beside it and are not part of it: the declared
    `TRAINING_VERSION` is. A warm fit's parent is.
    """
    return _digest(
        {
            "training_version": TRAINING_VERSION, "parameters": dict(parameters), "seed": seed, "fit": fit,
            "parent": parent, "partitions": partitions_digest, "data_until": data_until,
        }
    )  # fmt: skip


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
