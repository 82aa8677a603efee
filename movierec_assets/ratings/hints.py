"""What is wrong with a file as a whole and what it probably is, for the message that refuses it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from movierec_assets.errors import ChunkError

_MAGIC = (
    (b"\x1f\x8b", "gzip: call it .csv.gz, or unpack it"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls): save it as CSV"),
    (b"PAR1", "Parquet: call it .parquet"),
    (b"BZh", "bzip2: unpack it"),
    (b"\xfd7zXZ", "xz: unpack it"),
    (b"\x28\xb5\x2f\xfd", "zstd: unpack it"),
    (b"\xff\xfe", "UTF-16 by its byte order mark: save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 by its byte order mark: save it as UTF-8"),
    (b"<", "HTML or XML, perhaps an error page"),
    (b"{", "JSON"),
    (b"[", "JSON"),
)
MOST_GUESSED = 20  # columns
MAX_COLUMNS = 300  # characters of a header's faults before a hint
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)?")  # no column is called so
_SEPARATORS = {";": "a semicolon", "\t": "a tab", "|": "a bar", "::": "two colons", ",": "a comma"}


def check_columns(
    header: Sequence[str],
    wanted: Sequence[str],
    name: str,
    line: int | None,
    *,
    ignore_others: bool = False,
    separator: str | None = None,
) -> None:
    """Refuse a header that lacks a wanted column, has one twice, or has others.

    Raises:
        ChunkError: with what is meant by a column that is nearly a wanted one.
    """
    missing = [column for column in wanted if column not in header]
    others = [column for column in dict.fromkeys(header) if column not in wanted]
    faults = {
        "missing": missing,
        "unknown": others if missing or not ignore_others else [],
        "repeated": [column for column in wanted if header.count(column) > 1],
    }
    said = [f"{fault} {', '.join(map(repr, of))}" for fault, of in faults.items() if of]
    if not said:
        return
    hint = other_separator(header, separator, wanted) if separator else None
    hint = hint or meant(others, missing) or _mended(missing, wanted, others)
    cause = f"columns: {'; '.join(said)}"
    raise ChunkError(name, f"{cause[:MAX_COLUMNS]}. {hint}" if hint else cause, line)


def _mended(missing: Sequence[str], wanted: Sequence[str], others: Sequence[str]) -> str | None:
    """What to do with a file without a header line, or with more columns."""
    if not missing:
        return "take them out, or declare the source's other_columns" if others else None
    nameless = len(missing) == len(wanted) and any(map(_NUMBER.fullmatch, others))
    return "the file seems to have no header line: add one" if nameless else None


def kind_of(content: bytes) -> str | None:
    """What other kind of file than a CSV the first bytes show, and what to do; None if none."""
    if content.startswith(b"PK\x03\x04"):
        inside = content[:4096]
        if b"[Content_Types].xml" in inside or b"xl/" in inside:
            return "an Excel workbook (.xlsx): save it as CSV"
        return "a zip archive: unpack it"
    return next((what for magic, what in _MAGIC if content.startswith(magic)), None)


def other_separator(header: Sequence[str], separator: str, expected: Sequence[str]) -> str | None:
    """Say with which other separator a header has the expected columns; None with none."""
    line = separator.join(header)
    for other, name in _SEPARATORS.items():
        if other != separator and set(expected) <= {
            field.strip('" ') for field in line.split(other)
        }:
            wanted = _SEPARATORS.get(separator, repr(separator))
            return f"the separator is {name}, expected {wanted}"
    return None


def meant(unknown: Sequence[str], missing: Sequence[str]) -> str | None:
    """Which missing column each unknown one may be: `userId` is nearly `user_id`."""
    said = []
    for name in unknown[:MOST_GUESSED]:
        plain = {_plain(column): column for column in missing}
        near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.75)
        if near:
            said.append(f"did you mean {plain[near[0]]!r} by {name!r}?")
    return " ".join(said) or None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
