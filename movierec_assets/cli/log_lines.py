"""What a process prints, as records: a JSON object a line, with the fields that all logs have.

The endpoint writes such lines itself (`movierec_serving/logs.py`). Dagster, MLflow and whatever a
library prints are text; a line of it becomes a record with what the text tells.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Dagster's, MLflow's and uvicorn's ways to begin a message.
_BEGINNINGS = (
    re.compile(r"\S+ \S+ [+-]\d{4} - (?P<logger>[\w.:-]+) - (?P<level>[A-Z]+) - (?P<event>.*)"),
    re.compile(r"[\d/]+ [\d:]+ (?P<level>[A-Z]+) (?P<logger>[\w.]+): (?P<event>.*)"),
    re.compile(r"(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL):? +(?P<event>.*)"),
)
# Ids that a text tells, by the field that holds them.
_IDS = {
    "run": re.compile(r"\b([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b"),
    "partition": re.compile(r"\b(\d{4}-\d{2}-\d{2})\b"),
    "version": re.compile(r"\bversion (\d{1,18})\b"),
}


class Lines:
    """Makes records of one process's lines, in their order."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._level = "info"  # of the last message, whose further lines have no beginning

    def record(self, line: str, at: datetime | None = None) -> str:
        """Give the line as a JSON object; one that is a record already gets the process's name."""
        text = _COLOUR.sub("", line.rstrip("\r\n"))
        fields = _own(text) or self._told_by(text, at or datetime.now(UTC))
        return json.dumps({**fields, "process": self._process})

    def _told_by(self, text: str, at: datetime) -> dict[str, Any]:
        record: dict[str, Any] = {
            "time": at.astimezone(UTC).isoformat(timespec="milliseconds")[:23] + "Z",
            "level": self._level,
            "event": text,
        }
        for beginning in _BEGINNINGS:
            if match := beginning.fullmatch(text):
                named = match.groupdict()
                self._level = record["level"] = named["level"].lower()
                record |= {key: value for key, value in named.items() if key != "level"}
                break
        ids = {field: pattern.search(record["event"]) for field, pattern in _IDS.items()}
        told = {field: match[1] for field, match in ids.items() if match is not None}
        if "version" in told:
            record["version"] = int(told.pop("version"))
        return {**record, **told}


def _own(text: str) -> dict[str, Any] | None:
    """The record that a line is; None if it is text."""
    if not text.startswith("{"):
        return None
    try:
        fields = json.loads(text)
    except ValueError:
        return None
    return (
        fields if isinstance(fields, dict) and {"time", "level", "event"} <= fields.keys() else None
    )
