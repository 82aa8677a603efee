"""Parquet, read as the text that a CSV would have."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]

from movierec_assets.errors import ChunkError
from movierec_assets.ratings.declaration import UNITS
from movierec_assets.ratings.hints import check_columns

MAX_TEXT = 1 << 28  # bytes of a column; Parquet keeps a text that repeats once


def parquet_columns(
    content: bytes, name: str, wanted: Mapping[str, str], *, ignore_others: bool, limit: int
) -> dict[str, list[str]]:
    """Read columns of a Parquet file as text; a null is "", 123 is "123", 4.0 is "4.0".

    Args:
        wanted: the file's column by ours; a point in time and whole floats are read as `whole`.
        ignore_others: whether the file may have more columns.
        limit: bytes that the columns may unfold to.

    Raises:
        ChunkError: not Parquet, not these columns, or more than ratings can be.
    """
    try:
        with pa.parquet.ParquetFile(io.BytesIO(content)) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
            size = sum(
                file.metadata.row_group(group).total_byte_size
                for group in range(file.metadata.num_row_groups)
            )
        check_columns(schema.names, list(wanted.values()), name, None, ignore_others=ignore_others)
        if size > limit:
            raise ChunkError(name, f"unfolds to {size:,} bytes, at most {limit:,} are read")
        if rows > len(content):  # half a kilobyte each, once read
            raise ChunkError(
                name, f"{rows:,} rows in {len(content):,} bytes: more than ratings can be"
            )
        names = list(wanted.values())
        folded = [field.name for field in schema if field.name in names and _is_text(field.type)]
        source, checked = io.BytesIO(content), {"page_checksum_verification": True}
        with pa.parquet.ParquetFile(source, read_dictionary=folded, **checked) as file:
            # One at a time, so that one column alone is in memory twice.
            return {
                ours: _texts(file.read(columns=[theirs]).column(0), theirs, name, ours)
                for ours, theirs in wanted.items()
            }
    except ChunkError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ChunkError(name, f"not Parquet: {error}") from error


def _texts(values: pa.ChunkedArray, column: str, name: str, ours: str) -> list[str]:
    """A column as text. A text that repeats is kept once, as it is of a CSV."""
    if not pa.types.is_dictionary(values.type):
        if not any(is_kind(values.type) for is_kind in READABLE):
            raise ChunkError(
                name, f"column {column!r} is of type {values.type}, expected text, numbers or times"
            )
        values = values.dictionary_encode()
    elif _is_text(values.type.value_type):
        sizes = [
            pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py()
            for chunk in values.chunks
        ]
        if (size := sum(filter(None, sizes))) > MAX_TEXT:
            raise ChunkError(
                name,
                f"column {column!r} has {size:,} bytes of text, at most {MAX_TEXT:,} are read",
            )
    texts: list[str] = []
    for chunk in values.chunks:
        known = np.array([*_different(chunk.dictionary, ours), ""], dtype=object)
        texts += known[chunk.indices.fill_null(len(known) - 1).to_numpy()].tolist()
    return texts


def _different(values: pa.Array, ours: str) -> list[str]:
    """The different values of a column as text."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        ticks = UNITS[kind.unit]
        # Floored, so that no rating moves into the next day.
        return [
            "" if value is None else str(value // ticks)
            for value in values.cast(pa.int64()).to_pylist()
        ]
    if pa.types.is_floating(kind):
        whole = ours != "rating"  # a column of whole numbers with a null is often stored as floats
        return [
            ""
            if value is None
            else str(int(value))
            if whole and value.is_integer()
            else repr(value)
            for value in values.to_pylist()
        ]
    return ["" if value is None else str(value) for value in values.to_pylist()]


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


READABLE = (
    _is_text,
    pa.types.is_null,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_timestamp,
)
