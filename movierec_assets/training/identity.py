"""What decides a model: the digests that name it and the data that it was trained on."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, timedelta


def partitions_digest(partitions: Sequence[tuple[str, str]]) -> str:
    """sha256 (hex) of the (day, data version) of every partition, in order of the days."""
    return _digest(sorted(partitions))


def model_identity(
    *,
    family: str,
    training_version: str,
    parameters: Mapping[str, object],
    seed: int,
    fit: str,
    parent: str | None,
    partitions_digest: str,
    data_until: str,
) -> str:
    """sha256 (hex) of all that decides a model: the same inputs have one identity, others have
    another.

    The git commit, libraries and the BLAS kernel are recorded beside it and are not part of it: the
    trainer's declared version is. A warm fit's parent is.
    """
    # ALS was the first family, and its models' names say nothing of it: they stay what they were.
    named = {} if family == "als" else {"family": family}
    return _digest(
        {
            **named,
            "training_version": training_version,
            "parameters": dict(parameters),
            "seed": seed,
            "fit": fit,
            "parent": parent,
            "partitions": partitions_digest,
            "data_until": data_until,
        }
    )


def _digest(value: object) -> str:
    return hashlib.sha256(_json(value)).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def running_digests(
    partitions: Sequence[tuple[str, str]], days: Sequence[str], window_days: int | None
) -> dict[str, str | None]:
    """`partitions_digest` of what each of `days` (ascending) is trained on, None where that is
    nothing. The partitions are ascending by day; of one day they may be in any order.

    Without a window one pass over the partitions: 5,000 days would hash 12 million of them
    otherwise.
    """
    digests: dict[str, str | None] = {}
    if window_days is not None:
        keys = [day for day, _ in partitions]
        for day in days:
            since = (date.fromisoformat(day) - timedelta(days=window_days)).isoformat()
            within = partitions[bisect_right(keys, since) : bisect_right(keys, day)]
            digests[day] = partitions_digest(within) if within else None
        return digests
    running, position, ordered = hashlib.sha256(b"["), 0, sorted(partitions)
    for day in days:
        while position < len(ordered) and ordered[position][0] <= day:
            running.update(b"," * (position > 0) + _json(ordered[position]))
            position += 1
        ended = running.copy()
        ended.update(b"]")
        digests[day] = ended.hexdigest() if position else None
    return digests
