"""A delivered file without some of its records; every other byte of it stays as it came."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]

from movierec_assets.errors import ChunkError

GZIP, PARQUET = b"\x1f\x8b", b"PAR1"  # the first bytes of such files


@dataclass(frozen=True)
class Layout:
    """Where a file names the user. `header` is its columns if the file has no header line."""

    separator: str = ","
    column: str = "user_id"
    header: tuple[str, ...] | None = None


def without_records(
    content: bytes, name: str, is_theirs: Callable[[str], bool], layout: Layout
) -> tuple[bytes, int]:
    """Take out the records whose user field `is_theirs`.

    Returns:
        The file's new content, the same bytes if there are no such records, and their number.

    Raises:
        ChunkError: the file cannot be read, or has no such column.
    """
    if name.lower().endswith((".jsonl", ".jsonl.gz")):
        text_without = _json_without
    else:
        text_without = _text_without
    if content.startswith(PARQUET):
        return _parquet_without(content, name, is_theirs, layout)
    if content.startswith(GZIP):
        plain = gzip.decompress(content)
        rest, count = text_without(plain, name, is_theirs, layout)
        return (gzip.compress(rest, mtime=0), count) if count else (content, 0)
    return text_without(content, name, is_theirs, layout)


def _json_without(
    content: bytes, name: str, is_theirs: Callable[[str], bool], layout: Layout
) -> tuple[bytes, int]:
    kept, count = [], 0
    for number, line in enumerate(io.BytesIO(content), start=1):
        try:
            record = json.loads(line, parse_int=str, parse_float=str)
        except ValueError as error:
            raise ChunkError(name, f"not JSON: {error}", number) from error
        if isinstance(record, dict) and is_theirs(str(record.get(layout.column))):
            count += 1
        else:
            kept.append(line)
    return b"".join(kept), count


def _text_without(
    content: bytes, name: str, is_theirs: Callable[[str], bool], layout: Layout
) -> tuple[bytes, int]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ChunkError(name, "not UTF-8") from error
    begin = content[: len(content) - len(text.encode())]  # a byte order mark
    lines = list(io.StringIO(text, newline=""))
    kept: list[str] = []
    count = at = 0
    place = layout.header.index(layout.column) if layout.header else None
    for fields, end in _records(lines, layout.separator, name):
        record, at = lines[at:end], end
        if place is None:
            if layout.column not in fields:
                raise ChunkError(name, f"the header has no column {layout.column}", 1)
            place = fields.index(layout.column)
        elif place < len(fields) and is_theirs(fields[place]):
            count += 1
            continue
        kept += record
    return (begin + "".join(kept).encode(), count) if count else (content, 0)


def _records(lines: list[str], separator: str, name: str) -> list[tuple[list[str], int]]:
    """The fields of each record and the line after it: a quoted field may hold a newline."""
    if len(separator) > 1:
        split = (line.rstrip("\r\n").split(separator) for line in lines)
        return [(fields, number) for number, fields in enumerate(split, start=1)]
    reader = csv.reader(lines, delimiter=separator)
    try:
        return [(fields, reader.line_num) for fields in reader]
    except csv.Error as error:
        raise ChunkError(name, str(error), reader.line_num) from error


def _parquet_without(
    content: bytes, name: str, is_theirs: Callable[[str], bool], layout: Layout
) -> tuple[bytes, int]:
    try:
        table = pyarrow.parquet.read_table(pa.BufferReader(content))
        users = pc.cast(table[layout.column], pa.string()).to_pylist()
    except (pa.ArrowException, KeyError, OSError) as error:
        raise ChunkError(name, f"cannot be read as Parquet: {error}") from error
    keep = [user is None or not is_theirs(user) for user in users]
    if all(keep):
        return content, 0
    out = io.BytesIO()
    rest = table.filter(pa.array(keep)).replace_schema_metadata(None)
    pyarrow.parquet.write_table(rest, out)
    return out.getvalue(), len(keep) - sum(keep)
