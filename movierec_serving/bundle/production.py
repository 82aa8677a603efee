"""The version that a store is to serve, by name: where an endpoint begins that has none committed.

Each deployment writes it. It is no command: an endpoint that serves a version keeps it until it is
told to reload.
"""

import logging
from pathlib import Path

from movierec_serving.bundle.files import replace_file

logger = logging.getLogger(__name__)

FILE = "production"


def name_production(store: Path, version: int) -> None:
    """Make `version` what new endpoints of the store begin with."""
    replace_file(store / FILE, f"{version}\n".encode())


def named_production(store: Path) -> int | None:
    """The version that was named last; None if none was, or the file is damaged."""
    try:
        text = (store / FILE).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        logger.warning("%s cannot be read: %s", store / FILE, error)
        return None
    if not text.isdecimal():
        logger.warning("%s names no version: %r", store / FILE, text[:80])
        return None
    return int(text)
