"""The driver's program of everybody's lists: executors run the code that publications are made
with, each on a block of users.

It is started by `resources/spark_lists.py`, which puts into a folder what is asked, and takes the
blocks from there. Executors need NumPy and pydantic; what they run of movierec is sent to them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from movierec_assets.training.spark import (
    JAVA_OPTIONS,
    Log,
    kernels,
    loaded,
    run_as_program,
)
from movierec_serving.bundle import TOP_N, Bundle, Ranking
from movierec_serving.bundle.array_files import sha256_of
from movierec_serving.bundle.everybody import Common, Listed, block
from movierec_serving.bundle.ranking import Lists

ASKED, CODE = "asked.json", "code.zip"  # the bundle's path and the ranking; movierec_serving
PLACES = np.dtype(
    [("items", "<i4", TOP_N), ("scores", "<f4", TOP_N)]
)  # a user's, in a block's file


def work_out(context: Any, folder: Path, log: Log) -> None:
    """Make the file of each block that has none.

    As many blocks are under way as the executors have cores: this process and its JVM hold these,
    and no more.
    """
    listed = asked(folder)
    users = len(listed.bundle.user_ids)
    todo = iter([rows for rows in listed.blocks if kept(folder, rows) is None])
    context.addPyFile(str(folder / CODE))
    common = context.broadcast(Common.of(listed))

    def lists_of(own: tuple[range, dict[str, Any]]) -> tuple[range, Lists]:
        rows, arrays = own
        return rows, common.value.lists(arrays)

    while wave := list(islice(todo, context.defaultParallelism)):
        pieces = [(rows, block(listed.bundle, rows)) for rows in wave]
        for rows, lists in context.parallelize(pieces, len(pieces)).map(lists_of).collect():
            keep(folder, rows, lists)
        log(f"lists of {wave[-1].stop:,} of {users:,} users")


def asked(folder: Path) -> Listed:
    """What the lists are made of."""
    question = json.loads((folder / ASKED).read_text(encoding="utf-8"))
    arrays = dict(zip(question["arrays"], loaded(folder, *question["arrays"]), strict=True))
    bundle = replace(Bundle.open(question["bundle"]), blended=arrays.get("blended"))
    ranking = Ranking(**question["ranking"])
    return Listed(bundle, ranking, arrays["genres"], arrays.get("withdrawn"))


def keep(folder: Path, rows: range, lists: Lists) -> None:
    """Write a block's file. Its name has its first row and its sha256, and it appears whole."""
    content = np.empty(len(rows), PLACES)
    content["items"], content["scores"] = lists
    fresh = folder / "block.npy"
    np.save(fresh, content, allow_pickle=False)
    fresh.rename(folder / f"{_prefix(rows)}{sha256_of(fresh)}.npy")


def kept(folder: Path, rows: range) -> Path | None:
    """A block's file, if there is a sound one."""
    files = folder.glob(f"{_prefix(rows)}*.npy")
    return next((file for file in files if file.stem.endswith(sha256_of(file))), None)


def read(file: Path) -> Lists:
    """A block's lists."""
    content = np.load(file, allow_pickle=False)
    return content["items"], content["scores"]


def _prefix(rows: range) -> str:
    return f"{rows.start:012}-"


if __name__ == "__main__":
    run_as_program(work_out, kernels, JAVA_OPTIONS)
