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
        return version_in((store / FILE).read_bytes(), str(store / FILE))
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning("%s cannot be read: %s", store / FILE, error)
        return None


def version_in(content: bytes, where: str) -> int | None:
    """The version that such a file names; None, and a warning, if it is damaged."""
    if not content.strip().isdigit():
        logger.warning("%s names no version: %r", where, content[:80])
        return None
    return int(content)
