"""What each version number was given to: one small file a number, beside MLflow and not in it.

MLflow's database can be lost or replaced, and it then counts from 1 again. These files say which
model each number is, what the gate and people said of it, and whether its files were removed; a
lost registry is made again from them, and no number is given twice.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from movierec_serving.bundle import BundleError
from movierec_serving.bundle.documents import Document
from movierec_serving.bundle.files import read_text, replace_file

REMOVED = "removed"  # the tag of a version whose files are gone on purpose; its value says why
GONE = "files_gone"  # the tag that says that this was done to its end
logger = logging.getLogger(__name__)


class VersionRecord(Document):
    """A version as MLflow had it: its tags, and the metrics it was registered with."""

    FORMATS: ClassVar = (1,)

    format_version: int = 1
    number: int
    tags: Mapping[str, str]
    metrics: Mapping[str, float] = {}

    @property
    def identity(self) -> str:
        return self.tags.get("identity", "")

    @property
    def removed(self) -> str | None:
        """Why its files were removed; None while it is kept."""
        return self.tags.get(REMOVED)

    @property
    def unfinished(self) -> bool:
        """Whether its removal was announced and not seen through."""
        return self.removed is not None and GONE not in self.tags


class VersionRecords:
    """`<root>/versions/<number>.json`, each replaced as a whole."""

    def __init__(self, root: Path) -> None:
        self._folder, self._published = root / "versions", root / "models"

    def all(self) -> dict[int, VersionRecord]:
        """Every record that can be read, by number, ascending."""
        records = {number: self.get(number) for number in self.numbers()}
        return {number: record for number, record in records.items() if record is not None}

    def numbers(self) -> list[int]:
        """Every number that has a record, ascending."""
        try:
            names = [entry.name.partition(".") for entry in os.scandir(self._folder)]
        except FileNotFoundError:
            return []
        return sorted(int(stem) for stem, _, kind in names if stem.isdecimal() and kind == "json")

    def get(self, number: int) -> VersionRecord | None:
        """The record of a number; None if it has none, or a damaged one, which is logged."""
        path = self._path(number)
        if not path.exists():
            return None
        try:
            return VersionRecord.from_json(read_text(path), str(path))
        except BundleError as error:
            logger.error("%s cannot be read, the version counts as unknown: %s", path, error)
            return None

    def newest_kept(self) -> VersionRecord | None:
        """The record of the highest number whose files were not removed."""
        records = (self.get(number) for number in reversed(self.numbers()))
        return next(
            (record for record in records if record is not None and record.removed is None), None
        )

    def keep(
        self, number: int, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None
    ) -> None:
        """Make the record of `number` say this; without `metrics` those that it has stay.

        A record of another model is left alone: its number was given again by mistake, which
        `movierec status` tells.
        """
        known = self.get(number)
        if known is not None and known.identity and known.identity != tags.get("identity"):
            logger.error("version %d is recorded as %s: not changed", number, known.identity)
            return
        before = known.metrics if known is not None else {}
        given = before if metrics is None else dict(metrics)
        record = VersionRecord(number=number, tags=dict(tags), metrics=given)
        if record != known:
            self._write(record)

    def change(self, number: int, tags: Mapping[str, str | None]) -> None:
        """Set tags of a record that is there; None takes one away."""
        known = self.get(number)
        if known is not None:
            after = {
                key: value for key, value in {**known.tags, **tags}.items() if value is not None
            }
            if after != known.tags:
                self._write(known.model_copy(update={"tags": after}))

    def taken(self, number: int, identity: str) -> bool:
        """Whether a number was given to another model, by its record or by what was published."""
        known = self.get(number)
        given = known.identity if known is not None else published_identity(self._published, number)
        return given is not None and given != identity

    def _write(self, record: VersionRecord) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_file(self._path(record.number), record.to_json().encode())

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.json"


def published_identity(store: Path, number: int) -> str | None:
    """The model that a published folder says it is; None where nothing can be read."""
    try:
        identity = json.loads((store / str(number) / "publication.json").read_bytes())["identity"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return identity if isinstance(identity, str) else None


def published(store: Path) -> Iterator[tuple[int, str]]:
    """(number, identity) of each published folder that says what it is, ascending."""
    folders = store.iterdir() if store.is_dir() else ()
    for number in sorted(int(path.name) for path in folders if path.name.isdecimal()):
        identity = published_identity(store, number)
        if identity is not None:
            yield number, identity
