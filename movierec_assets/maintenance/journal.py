"""An erasure under way: what is needed to finish it after a kill, the id included.

The id has a file of its own, written once, readable by its owner alone, left out of backups, and
overwritten before it is removed. The journal beside it never holds the id.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from movierec_assets.errors import ForgetError
from movierec_serving.bundle.files import replace_file

ID_FILE, FILE = "forget.id", "forget.json"
FRESH = f"{ID_FILE}.part"  # until it is written to its end


@dataclass
class Journal:
    """Who is forgotten, why, and what has been done so far."""

    user_id: str
    reason: str
    asked_at: str
    days: list[str] = field(default_factory=list)  # whose chunks were rewritten
    done: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, warehouse: Path) -> Journal | None:
        """The unfinished erasure of a home; None if there is none.

        Raises:
            ForgetError: one of its files cannot be read.
        """
        try:
            user_id = (warehouse / ID_FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            return cls(user_id, **json.loads((warehouse / FILE).read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise ForgetError(
                f"{warehouse / FILE} cannot be read ({type(error).__name__}): remove it and "
                f"{ID_FILE}, and forget the user again"
            ) from error

    def begin(self, warehouse: Path) -> None:
        """Write the journal, then the id, with which the erasure is one."""
        self.save(warehouse)
        fresh = warehouse / FRESH
        flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY
        with os.fdopen(os.open(fresh, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(self.user_id)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(warehouse / ID_FILE)

    def save(self, warehouse: Path) -> None:
        """Write all but the id as it is now, at once or not at all."""
        document = {name: value for name, value in vars(self).items() if name != "user_id"}
        replace_file(warehouse / FILE, json.dumps(document).encode())

    def finish(self, step: str, warehouse: Path) -> None:
        """A step is done, and is not done again after a kill."""
        self.done.append(step)
        self.save(warehouse)

    def shred(self, warehouse: Path) -> None:
        """Overwrite and remove the id, then the journal. What a disk keeps of older blocks is the
        disk's.
        """
        for name in (FRESH, ID_FILE):
            if (warehouse / name).exists():
                with (warehouse / name).open("r+b") as file:
                    file.write(b"\0" * os.fstat(file.fileno()).st_size)
                    file.flush()
                    os.fsync(file.fileno())
                (warehouse / name).unlink()
        (warehouse / FILE).unlink()
