"""How a process of the endpoint logs: a JSON object a line, or text for a person at a terminal.

What is logged is the caller's: a sentence, and ids as `extra`, by the names in `IDS`. No secret
belongs into a log, and of a person nothing but an id.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["auto", "json", "text"]
IDS = (
    *("run", "partition", "request", "recommendation", "version", "arm"),
    *("route", "status", "seconds"),
)
TEXT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """UTC time, level, event, logger, process and pid; then the ids that there are."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": at.isoformat(timespec="milliseconds")[:23] + "Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            "process": "endpoint",
            "pid": record.process,
        }
        line |= {name: value for name in IDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(log_format: LogFormat) -> None:
    """Log our own messages and the warnings of everybody else, to standard error."""
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    formatter = logging.Formatter(TEXT) if as_text else JsonLines()
    handler = logging.StreamHandler()
    logging.basicConfig(handlers=[handler])
    for own in (handler, *logging.getLogger("litserve").handlers):  # which makes its own
        own.setFormatter(formatter)
    logging.captureWarnings(True)
    logging.getLogger("movierec_serving").setLevel(logging.INFO)
