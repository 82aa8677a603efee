"""What the endpoint wrote down about the lists that it showed: a folder of files for each day."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pandas as pd

from movierec_assets.resources.warehouse.shown_lists import LOG
from movierec_serving.events.shown import days_shown, read_shown

IN_FILES = {"shown_at": "at", "skipped": "offset"}  # what files call columns of another name


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
    columns = [IN_FILES.get(name, name) for name in LOG]
    frame = pd.DataFrame(shown, columns=columns).set_axis(list(LOG), axis=1)
    frame["shown_at"] = pd.to_datetime(frame["shown_at"].astype("float64"), unit="s").dt.round("ms")
    frame["arm_failed"] = frame["arm_failed"].astype("boolean").fillna(False).astype(bool)
    for name in ("drafted", "explored"):
        texts = [orjson.dumps(its[name]).decode() if name in its else None for its in shown]
        frame[name] = pd.Series(texts, dtype="string")
    frame["skipped"] = frame["skipped"].fillna(0).astype("int64")
    return frame.drop_duplicates("recommendation_id")
