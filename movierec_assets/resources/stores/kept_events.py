"""Delivered events as files, a day each, of which an object store has a copy."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from movierec_assets.errors import RecoveryError
from movierec_serving.bundle.files import replace_file
from movierec_serving.events import Event, KeptEvent

FOLDER = Path("events") / "delivered"  # of the warehouse
COLUMNS = (
    *("event_id", "user_id", "movie_id", "type", "value", "timestamp", "recommendation_id"),
    *("received_at", "removed"),
)


class KeptEvents:
    """`<warehouse>/events/delivered/<day>.csv`: all events that the chunk of the day was given,
    also those that are worth nothing in training, or were taken back.
    """

    def __init__(self, warehouse: Path) -> None:
        self._folder = warehouse / FOLDER

    def days(self) -> list[str]:
        """List the days that have a file, ascending."""
        return sorted(path.stem for path in self._folder.glob("*.csv"))

    def write(self, day: str, kept: Sequence[KeptEvent]) -> None:
        """Let a day's file have these events. One whose last event was forgotten stays: without it
        the object store's would be the newer one.
        """
        text, path = io.StringIO(), self.path(day)
        writer = csv.writer(text)  # whose lines end in both signs, so that an id may have either
        writer.writerow(COLUMNS)
        for kept_event in kept:
            said = (getattr(kept_event.event, name) for name in COLUMNS[:-2])
            writer.writerow((*said, kept_event.received_at, int(kept_event.removed)))
        content = text.getvalue().encode()
        if path.exists() and path.read_bytes() == content:
            return
        if kept or path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)

    def read(self, day: str) -> list[KeptEvent]:
        """A day's events.

        Raises:
            RecoveryError: the file is damaged.
        """
        path = self.path(day)
        try:
            with path.open(encoding="utf-8", newline="") as file:
                return [_event(row, day) for row in csv.DictReader(file)]
        except (ValueError, KeyError, TypeError) as error:
            raise RecoveryError(f"{path} is damaged: remove it, {error}") from error

    def remove(self, before: str) -> None:
        """Remove the files of the days before one."""
        for day in self.days():
            if day < before:
                self.path(day).unlink(missing_ok=True)

    def path(self, day: str) -> Path:
        """Where a day's file is, if there is one."""
        return self._folder / f"{day}.csv"


def _event(row: dict[str, str], day: str) -> KeptEvent:
    event = Event(
        event_id=row["event_id"],
        user_id=row["user_id"],
        movie_id=row["movie_id"],
        type=row["type"],
        value=float(row["value"]) if row["value"] else None,
        timestamp=int(row["timestamp"]),
        recommendation_id=row["recommendation_id"] or None,
    )
    return KeptEvent(event, int(row["received_at"]), row["removed"] == "1", day)
