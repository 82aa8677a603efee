"""What the endpoint wrote down about the lists that it showed: a folder of files for each day."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pandas as pd

from movierec_serving.events.shown import days_shown, read_shown

COLUMNS = {  # of the table, by the name in the files
    "recommendation_id": "recommendation_id",
    "user_id": "user_id",
    "version": "version",
    "arm": "arm",
    "arm_failed": "arm_failed",
    "at": "shown_at",
    "source": "source",
    "reason": "reason",
    "offset": "skipped",
    "ms": "ms",
    "movies": "movies",
    "drafted": "drafted",
    "explored": "explored",
}


class ShownFiles(dg.ConfigurableResource):  # type: ignore[type-arg]
    """`<path>/<day>/*.jsonl`, which processes of the endpoint write."""

    path: str

    def days(self) -> list[str]:
        """List the days for which something was written, ascending."""
        return days_shown(Path(self.path))

    def read(self, day: str) -> tuple[pd.DataFrame, int]:
        """A day's lists by the columns of `recommendation_log`; how many lines were torn."""
        shown: list[dict[str, Any]] = []
        torn = 0
        for _, lists, bad in read_shown(Path(self.path), day):
            shown += lists
            torn += bad
        return _frame(shown), torn

    def remove(self, before: str) -> None:
        """Remove the files of the days before one."""
        for day in self.days():
            if day < before:
                shutil.rmtree(Path(self.path) / day, ignore_errors=True)

    def find(self, recommendation_id: str) -> pd.DataFrame:
        """One list, the newest days looked at first; no row where no file has it."""
        for day in reversed(self.days()):
            for _, lists, _ in read_shown(Path(self.path), day):
                for shown in lists:
                    if shown["recommendation_id"] == recommendation_id:
                        return _frame([shown])
        return _frame([])


def _frame(shown: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(shown, columns=list(COLUMNS)).rename(columns=COLUMNS)
    frame["shown_at"] = pd.to_datetime(frame["shown_at"].astype("float64"), unit="s").dt.round("ms")
    frame["arm_failed"] = frame["arm_failed"].astype("boolean").fillna(False).astype(bool)
    for name in ("drafted", "explored"):
        said = [orjson.dumps(one[name]).decode() if name in one else None for one in shown]
        frame[name] = pd.Series(said, dtype="string")
    frame["skipped"] = frame["skipped"].fillna(0).astype("int64")
    return frame.drop_duplicates("recommendation_id")
