"""CSV, read strictly and as a stream: every record, or an error that names the line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from movierec_assets.errors import ChunkError
from movierec_assets.ratings import hints


def records(
    content: bytes,
    name: str,
    separator: str = ",",
    header: Sequence[str] | None = None,
    *,
    quoting: bool = True,
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, fields) of the header, then of each record, all as long as the header.

    CSV must be UTF-8 (a byte order mark is accepted) and end in a newline: a cut inside the last
    field would otherwise pass in silence. A record's line is the first that it spans.

    Args:
        separator: one character, or several, which go without quoting.
        header: the columns of a file that has no header line.
        quoting: whether quotation marks enclose fields; else they are text.

    Raises:
        ChunkError: no bytes, undecodable, torn, or a record of another length.
    """
    _check(content, name)
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    quoted = quoting and len(separator) == 1
    lines = _quoted(text, separator) if quoted else _plain(text, separator)
    line = 1
    try:
        if header is None:
            line, header = next(lines, (1, []))
        yield line, list(header)
        for line, fields in lines:
            if len(fields) != len(header):
                raise ChunkError(name, _miscount(fields, len(header)), line)
            yield line, fields
    except _NotCsvError as error:
        raise ChunkError(name, f"not CSV: {error}", error.line) from error
    except UnicodeDecodeError as error:
        raise _undecodable(content, name) from error


class _NotCsvError(Exception):
    """A record that breaks CSV's rules, with the line it begins in."""

    def __init__(self, cause: csv.Error, line: int) -> None:
        super().__init__(str(cause))
        self.line = line


def _quoted(text: io.TextIOWrapper, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text, delimiter=separator, strict=True)
    line = 1
    try:
        for fields in reader:
            yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise _NotCsvError(error, line) from error


def _plain(text: io.TextIOWrapper, separator: str) -> Iterator[tuple[int, list[str]]]:
    for line, record in enumerate(text, 1):
        ended = record.rstrip("\r\n")
        yield line, ended.split(separator) if ended else []


def _check(content: bytes, name: str) -> None:
    """Refuse what is no text, or does not end as a CSV does."""
    if not content:
        raise ChunkError(name, "zero bytes, not even a header")
    if (kind := hints.kind_of(content)) is not None:
        first = f"byte 0x{content[0]:02x}, " if content[0] > 0x7F else ""
        raise ChunkError(name, f"not UTF-8: {first}{kind}" if first else f"not CSV: {kind}", 1)
    if (nul := content.find(b"\0")) >= 0:
        raise ChunkError(name, "a NUL byte", content.count(b"\n", 0, nul) + 1)
    if not content.endswith(b"\n"):
        try:
            content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _undecodable(content, name) from error
        cause = "no newline at the end: the file may be cut short"
        if content.endswith(b"\r"):
            cause = "lines end in a carriage return alone, as on old Macs: save it with line feeds"
        raise ChunkError(name, cause, content.count(b"\n") + 1)


def _undecodable(content: bytes, name: str) -> ChunkError:
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{content[error.start]:02x}"
        return ChunkError(name, f"not UTF-8: {byte}: save it as UTF-8", line)
    raise AssertionError("decoded as a whole, and not in parts")


def _miscount(fields: list[str], expected: int) -> str:
    if not fields:
        return "a blank line"
    return f"{len(fields)} field{'s' * (len(fields) != 1)}, expected {expected}"
