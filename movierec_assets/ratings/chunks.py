"""The formats a chunk may arrive in, read strictly: all of the file, or an error that names the
line.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath

import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]

from movierec_assets.errors import ChunkError

COLUMNS = ("user_id", "movie_id", "rating", "timestamp")
MOVIE_COLUMNS = ("movie_id", "title", "year", "genres")

MAX_TEXT = 1 << 28  # bytes of a column; Parquet keeps a text that repeats once
MAX_CAUSE = 500  # characters; a cause may quote a file, and is shown wherever its day is
_TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}  # in a second
_YEAR = re.compile(r"[0-9]{4}")


def parse_chunk(content: bytes, name: str) -> pd.DataFrame:
    """Read a day's delivered ratings, without judging any value.

    CSV must be UTF-8 (a byte order mark is accepted) with a header, and end in a newline: a cut
    inside the last field would otherwise pass in silence. Columns may come in any order.

    Args:
        content: the whole file.
        name: its name; the suffix, .csv or .parquet, picks the format.

    Returns: One row per record: `record` (int64, from 1, header not counted) and the `COLUMNS` as
        text (object dtype), exactly as delivered. From Parquet, a null is "", 123 is "123", 4.0 is
        "4.0", and a point in time is in whole seconds since 1970, UTC. A header alone gives an
        empty frame.

    Raises:
        ChunkError: no bytes, undecodable, torn, or not exactly the `COLUMNS` in every row.
    """
    suffix = PurePath(name).suffix.lower()
    if not content:
        raise ChunkError(name, "zero bytes, not even a header")
    if suffix == ".csv":
        columns = _csv_columns(content, name)
    elif suffix == ".parquet":
        columns = _parquet_columns(content, name)
    else:
        raise ChunkError(name, f"unknown format {suffix!r}, expected .csv or .parquet")
    frame = pd.DataFrame({column: pd.Series(columns[column], dtype=object) for column in COLUMNS})
    frame.insert(0, "record", pd.RangeIndex(1, len(frame) + 1).astype("int64"))
    return frame


def parse_movies(content: bytes, name: str) -> pd.DataFrame:
    """Read the catalogue of movies, a CSV as strict as a chunk's, genres separated by `|`.

    Returns: One row per movie: `movie_id` and `title` (object), `year` (Int64, missing where empty)
        and `genres` (a list of str, empty where none).

    Raises:
        ChunkError: as `parse_chunk`, or a movie_id that is empty or repeated, or a year that is
        none.
    """
    if not content:
        raise ChunkError(name, "zero bytes, not even a header")
    records = _csv_records(content, name, MOVIE_COLUMNS)
    _, header = next(records)
    at = [header.index(column) for column in MOVIE_COLUMNS]
    first_seen: dict[str, int] = {}
    titles: list[str] = []
    years: list[int | None] = []
    genres: list[list[str]] = []
    for line, row in records:
        movie_id, title, year, names = (row[i] for i in at)
        if not movie_id:
            raise ChunkError(name, "movie_id: empty", line)
        if movie_id in first_seen:
            raise ChunkError(
                name, f"movie_id {movie_id!r} again, first in line {first_seen[movie_id]}", line
            )
        if year and not _YEAR.fullmatch(year):
            raise ChunkError(name, f"year {year!r} is not four digits", line)
        first_seen[movie_id] = line
        titles.append(title)
        years.append(int(year) if year else None)
        genres.append([genre for genre in names.split("|") if genre])
    return pd.DataFrame(
        {
            "movie_id": pd.Series(list(first_seen), dtype=object),
            "title": pd.Series(titles, dtype=object),
            "year": pd.Series(years, dtype="Int64"),
            "genres": pd.Series(genres, dtype=object),
        }
    )


def _csv_columns(content: bytes, name: str) -> dict[str, Sequence[str]]:
    records = _csv_records(content, name, COLUMNS)
    _, header = next(records)
    columns = list(zip(*(row for _, row in records), strict=True)) or [()] * len(COLUMNS)
    return dict(zip(header, columns, strict=True))


def _csv_records(
    content: bytes, name: str, columns: Sequence[str]
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, fields) of the header, then of each record; a record's line is the first it
    spans.
    """
    text = _decoded(content, name)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        header = next(reader, [])
        _check_columns(header, columns, name, line=1)
        yield line, header
        line = reader.line_num + 1
        for row in reader:
            if len(row) != len(columns):
                raise ChunkError(name, _miscount(row, len(columns)), line)
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise ChunkError(name, f"not CSV: {error}", line) from error


def _decoded(content: bytes, name: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ChunkError(name, f"not UTF-8: byte 0x{content[error.start]:02x}", line) from error
    if (nul := text.find("\0")) >= 0:
        raise ChunkError(name, "a NUL byte", text.count("\n", 0, nul) + 1)
    if not text.endswith("\n"):
        raise ChunkError(
            name, "no newline at the end: the file may be cut short", text.count("\n") + 1
        )
    return text


def _miscount(row: list[str], expected: int) -> str:
    return (
        f"{len(row)} field{'s' * (len(row) != 1)}, expected {expected}" if row else "a blank line"
    )


def _check_columns(
    header: Sequence[str], columns: Sequence[str], name: str, line: int | None
) -> None:
    faults = {
        "missing": [column for column in columns if column not in header],
        "unknown": [column for column in dict.fromkeys(header) if column not in columns],
        "repeated": [column for column in columns if header.count(column) > 1],
    }
    said = [f"{fault} {', '.join(map(repr, of))}" for fault, of in faults.items() if of]
    if said:
        raise ChunkError(name, f"columns: {'; '.join(said)}", line)


def _parquet_columns(content: bytes, name: str) -> dict[str, Sequence[str]]:
    try:
        with pa.parquet.ParquetFile(io.BytesIO(content)) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
        _check_columns(schema.names, COLUMNS, name, line=None)
        if rows > len(content):  # half a kilobyte each, once read
            raise ChunkError(
                name, f"{rows:,} rows in {len(content):,} bytes: more than ratings can be"
            )
        folded = [field.name for field in schema if _is_text(field.type)]
        source, checked = io.BytesIO(content), {"page_checksum_verification": True}
        with pa.parquet.ParquetFile(source, read_dictionary=folded, **checked) as file:
            table = file.read()
        return {column: _texts(table.column(column), column, name) for column in COLUMNS}
    except ChunkError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ChunkError(name, f"not Parquet: {error}") from error


def _texts(values: pa.ChunkedArray, column: str, name: str) -> list[str]:
    if pa.types.is_dictionary(values.type):
        if _is_text(values.type.value_type):
            sizes = [
                pc.sum(pc.binary_length(one.dictionary).take(one.indices)).as_py()
                for one in values.chunks
            ]
            if (size := sum(filter(None, sizes))) > MAX_TEXT:
                raise ChunkError(
                    name,
                    f"column {column!r} has {size:,} bytes of text, at most {MAX_TEXT:,} are read",
                )
        values = values.cast(values.type.value_type)
    kind = values.type
    if pa.types.is_timestamp(kind):
        ticks = _TICKS[kind.unit]
        # Floored, so that no rating moves into the next day.
        return [
            "" if value is None else str(value // ticks)
            for value in values.cast(pa.int64()).to_pylist()
        ]
    if pa.types.is_floating(kind):
        whole = (
            column != "rating"
        )  # a column of whole numbers with a null is often stored as floats
        return [
            ""
            if value is None
            else str(int(value))
            if whole and value.is_integer()
            else repr(value)
            for value in values.to_pylist()
        ]
    if (
        pa.types.is_null(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_decimal(kind)
        or _is_text(kind)
    ):
        return ["" if value is None else str(value) for value in values.to_pylist()]
    raise ChunkError(name, f"column {column!r} is of type {kind}, expected text, numbers or times")


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
