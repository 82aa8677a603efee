"""The named points at which a process is killed, and how it kills itself there: nothing in the
product knows of it.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Point:
    """Just before or after a call of `owner`.`name` in a run of `job`; one of the first `times`
    that are made.
    """

    place: str
    job: str
    owner: str  # module, or module:Class
    name: str
    when: str  # before | after
    times: int = 1
    where: Callable[..., bool] = lambda *_, **__: True  # of its arguments: whether the call counts


def _commit(place: str, job: str, unit: str, times: int) -> list[Point]:
    """Around the commit of a unit of work of the warehouse, which is a method `unit`."""
    owner = "movierec_assets.resources.warehouse.warehouse:Warehouse"
    return [
        Point(f"{place}: {when} its commit", job, owner, f"commit of {unit}", when, times)
        for when in ("before", "after")
    ]


def _status(_: Any, number: int, key: str, value: str) -> bool:
    return key == "status"


REGISTRY = "movierec_assets.resources.registry.model_registry"
BUNDLES = "movierec_assets.resources.registry.mlflow_bundle"
CLIENT = "mlflow:MlflowClient"
TAGS = "movierec_assets.resources.registry.version_tags:VersionTags"
FILES = "movierec_serving.bundle.files"
ARRAYS = "movierec_serving.bundle.array_files"
SENSORS = "dagster:DagsterInstance"

POINTS = [
    Point(
        "chunk: written, not yet named",
        "ingest",
        "pathlib:Path",
        "replace",
        "before",
        3,
        lambda path, _: "chunks" in path.parts,
    ),
    Point(
        "chunk archived, not in the ledger",
        "ingest",
        "movierec_assets.resources.stores.chunk_archive:ChunkArchive",
        "store",
        "after",
        3,
    ),
    *_commit("raw ratings", "ingest", "load_chunk", 2),
    *_commit("refused chunk", "ingest", "refuse_chunk", 1),
    *_commit("verdict of a day", "ingest", "judge", 2),
    Point(
        "bundle: some files written",
        "train",
        ARRAYS,
        "write_array",
        "after",
        36,
    ),
    Point("bundle: written, not renamed", "train", FILES, "_move_into_place", "before", 4),
    Point("bundle: renamed", "train", FILES, "_move_into_place", "after", 4),
    *_commit("model of a day", "train", "record_model", 3),
    Point("MLflow run begun", "register", f"{REGISTRY}:ModelRegistry", "register", "before", 2),
    Point("MLflow run logged, no artifact", "register", "mlflow.pyfunc", "log_model", "before", 2),
    Point("MLflow artifact, not linked", "register", BUNDLES, "_link_artifacts", "before", 2),
    Point("MLflow artifact, no version", "register", CLIENT, "create_model_version", "before", 2),
    Point(
        "version made, its run not ended", "register", CLIENT, "create_model_version", "after", 2
    ),
    Point(
        "verdict: its numbers only",
        "judge",
        CLIENT,
        "log_batch",
        "after",
        2,
        lambda *_, **given: any(
            metric.key.startswith("gate_") for metric in given.get("metrics", ())
        ),
    ),
    Point(
        "verdict: reason, not decision",
        "judge",
        TAGS,
        "set",
        "before",
        2,
        lambda *given, **_: given[2] == "gate",
    ),
    Point(
        "verdict recorded",
        "judge",
        TAGS,
        "set",
        "after",
        2,
        lambda *given, **_: given[2] == "gate",
    ),
    Point("alias: before it moves", "judge", CLIENT, "set_registered_model_alias", "before"),
    Point("alias moved, tags not", "judge", CLIENT, "set_registered_model_alias", "after"),
    Point("one status tag of two", "judge", TAGS, "set", "after", 1, _status),
    Point("tags set, move not reported", "judge", SENSORS, "report_runless_asset_event", "before"),
    Point("move reported", "judge", SENSORS, "report_runless_asset_event", "after"),
    *_commit("catalogue", "catalogue", "replace_movies", 1),
    Point("publication: some files written", "deploy", ARRAYS, "write_array", "after", 5),
    Point("publication: written, not renamed", "deploy", FILES, "_move_into_place", "before"),
    Point("publication: renamed, no reload", "deploy", FILES, "_move_into_place", "after"),
    Point("corrupt publication: not replaced", "mend", FILES, "_move_into_place", "before"),
    Point("corrupt publication: replaced", "mend", FILES, "_move_into_place", "after"),
    Point(
        "pointer: checked, not stored",
        "deploy",
        "movierec_serving.model.pointer:Pointer",
        "store",
        "before",
        2,
    ),
    Point(
        "pointer: stored, not acknowledged",
        "deploy",
        "movierec_serving.model.pointer:Pointer",
        "store",
        "after",
        2,
    ),
    *_commit("table of what is served", "deploy", "replace_served", 1),
    Point(
        "tick: before it looks",
        "tick",
        "movierec_assets.defs.deployment",
        "reported_model",
        "before",
    ),
    Point("tick: decided, no run yet", "tick", SENSORS, "create_run", "before"),
    Point("tick: run made, not queued", "tick", SENSORS, "submit_run", "before"),
    Point("tick: run queued, cursor not kept", "tick", SENSORS, "submit_run", "after"),
    Point("tick: cursor kept", "tick", SENSORS, "update_instigator_state", "after"),
]


def arm(point: Point, nth: int, signal: int, hit: Path) -> None:
    """Make this process kill itself at the nth time that the point is reached, having left the file
    `hit`.
    """
    reached = 0

    def strike() -> None:
        nonlocal reached
        reached += 1
        if reached == nth:
            hit.touch()
            os.kill(os.getpid(), signal)

    module, _, name = point.owner.partition(":")
    owner: Any = importlib.import_module(module)
    owner = getattr(owner, name) if name else owner
    if point.name.startswith("commit of "):
        _arm_commit(owner, point.name.removeprefix("commit of "), point.when, strike)
        return
    original = getattr(owner, point.name)

    @functools.wraps(original)
    def wrapped(*given: Any, **options: Any) -> Any:
        counts = point.where(*given, **options)
        if counts and point.when == "before":
            strike()
        result = original(*given, **options)
        if counts and point.when == "after":
            strike()
        return result

    setattr(owner, point.name, wrapped)


def _arm_commit(warehouse: Any, unit: str, when: str, strike: Callable[[], None]) -> None:
    original = warehouse.open

    class Connection:
        """A connection whose commit, within `unit`, is a point."""

        def __init__(self, real: Any) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def commit(self) -> None:
            frame, within = sys._getframe(), False
            while frame is not None and not within:
                within, frame = frame.f_code.co_name == unit, frame.f_back  # type: ignore[assignment]
            if within and when == "before":
                strike()
            self._real.commit()
            if within and when == "after":
                strike()

    @contextmanager
    def opened(self: Any, *, read_only: bool) -> Iterator[Any]:
        with original(self, read_only=read_only) as real:
            yield Connection(real)

    warehouse.open = opened
