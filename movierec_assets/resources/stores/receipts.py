"""When and under which name each archived chunk was delivered, beside it in the archive.

The ledger in DuckDB says the same, and is made again from these should it be lost: the order of
receipt decides which chunk of a day is current, and a name's end decides how it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from movierec_serving.bundle.files import replace_file

_SUFFIXES = {b"PAR1": ".parquet", b"\x1f\x8b": ".csv.gz"}  # by a file's first bytes; else .csv


@dataclass(frozen=True)
class Receipt:
    """The last delivery of an archived chunk.

    Attributes:
        path: relative to the landing zone.
        declaration: the archived declaration (its digest) that it was read by; None where none was.
        declared: whether that is known: receipts of before do not say.
    """

    day: str
    sha256: str
    path: str
    received_at: str
    declaration: str | None = None
    declared: bool = True


class Receipts:
    """`<archive>/<day>/<sha256>.json`, one for each chunk."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive

    def enter(self, day: str, sha256: str, path: str, declaration: str | None = None) -> None:
        """Make this chunk the last one delivered of its day, under this name."""
        own = self._file(day, sha256)
        known = _read(own)
        others = (_read(file) for file in own.parent.glob("*.json") if file != own)
        newest = max((other.received_at for other in others if other is not None), default="")
        now = Receipt(day, sha256, path, datetime.now(UTC).isoformat(), declaration)
        last = known if known is not None and known.received_at > newest else None
        if last is None or replace(last, received_at=now.received_at) != now:
            self.write(now)

    def write(self, receipt: Receipt) -> None:
        """Put a receipt beside its chunk."""
        declared = {"declaration": receipt.declaration} if receipt.declared else {}
        document = {"path": receipt.path, "received_at": receipt.received_at, **declared}
        replace_file(self._file(receipt.day, receipt.sha256), json.dumps(document).encode())

    def remove(self, day: str, sha256: str) -> None:
        """Take a chunk's receipt away, if there is one."""
        self._file(day, sha256).unlink(missing_ok=True)

    def all(self) -> list[Receipt]:
        """Every archived chunk, in order of receipt; what has no receipt is told by its file."""
        receipts = (
            _read(self._file(day, sha256)) or _guessed(self._archive / day / sha256)
            for day, sha256 in chunk_names(self._archive)
        )
        return sorted(
            receipts, key=lambda receipt: (receipt.received_at, receipt.day, receipt.sha256)
        )

    def _file(self, day: str, sha256: str) -> Path:
        return self._archive / day / f"{sha256}.json"


def chunk_names(archive: Path) -> Iterator[tuple[str, str]]:
    """(day, sha256) of each archived chunk."""
    for file in archive.glob("*/*"):
        if len(file.name) == 64 and file.name.isalnum():
            yield file.parent.name, file.name


def _read(file: Path) -> Receipt | None:
    """A receipt; None where there is none, or a damaged one: it can be guessed."""
    try:
        document = json.loads(file.read_bytes())
        return Receipt(
            day=file.parent.name,
            sha256=file.stem,
            path=str(document["path"]),
            received_at=str(document["received_at"]),
            declaration=document.get("declaration") or None,
            declared="declaration" in document,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _guessed(file: Path) -> Receipt:
    """What a chunk of before there were receipts was called, and when it was written."""
    with file.open("rb") as content:
        begins = content.read(4)
    suffixes = (suffix for magic, suffix in _SUFFIXES.items() if begins.startswith(magic))
    written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return Receipt(
        day=file.parent.name,
        sha256=file.name,
        path=f"ratings/{file.parent.name}{next(suffixes, '.csv')}",
        received_at=written.isoformat(),
        declared=False,
    )
