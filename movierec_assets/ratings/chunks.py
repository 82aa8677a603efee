"""The formats a chunk may arrive in, read strictly: all of the file, or an error that names the
line.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import islice

import pandas as pd

from movierec_assets.errors import ChunkError
from movierec_assets.ratings.csv_text import records
from movierec_assets.ratings.declaration import PLAIN, Declaration
from movierec_assets.ratings.hints import check_columns
from movierec_assets.ratings.json_text import json_rows
from movierec_assets.ratings.parquet import parquet_columns

COLUMNS = ("user_id", "movie_id", "rating", "timestamp")
SUFFIXES = (".csv", ".csv.gz", ".parquet", ".jsonl", ".jsonl.gz")
MAX_BYTES = 1 << 30  # of a file once unpacked, unless told otherwise


def parse_chunk(
    content: bytes, name: str, declared: Declaration = PLAIN, *, limit: int = MAX_BYTES
) -> pd.DataFrame:
    """Read a day's delivered ratings, without judging any value.

    CSV must be UTF-8 (a byte order mark is accepted) with a header, and end in a newline: a cut
    inside the last field would otherwise pass in silence. Columns may come in any order.

    Args:
        content: the whole file.
        name: its name; the suffix, one of `SUFFIXES`, picks the format.
        declared: what its source says of its columns.
        limit: bytes that the file may unfold to.

    Returns: One row per record: `record` (int64, from 1, header not counted) and the `COLUMNS` as
        text (object dtype), exactly as delivered. From Parquet, a null is "", 123 is "123", 4.0 is
        "4.0", and a point in time is in whole seconds since 1970, UTC. A rating that the source
        does not have is "". A header alone gives an empty frame.

    Raises:
        ChunkError: no bytes, undecodable, torn, too large, or not the columns in every row.
    """
    suffix = next((ending for ending in reversed(SUFFIXES) if name.lower().endswith(ending)), None)
    if suffix is None:
        raise ChunkError(name, f"unknown format {suffix_of(name)!r}, expected {_EXPECTED}")
    if not content:
        raise ChunkError(name, "zero bytes, not even a header")
    if suffix.endswith(".gz"):
        content = _unpacked(content, name, limit)
    elif len(content) > limit:
        raise ChunkError(name, f"{len(content):,} bytes, at most {limit:,} are read")
    wanted, ignore = declared.names, declared.other_columns == "ignored"
    if suffix == ".parquet":
        columns = parquet_columns(content, name, wanted, ignore_others=ignore, limit=limit)
    elif suffix.startswith(".jsonl"):
        if not content.endswith(b"\n"):
            raise ChunkError(name, "no newline at the end: the file may be cut short")
        rows = json_rows(BytesIO(content), name, list(wanted.values()))
        columns = _columns(rows, range(len(wanted)), wanted)
    else:
        separator, header = declared.separator, declared.header
        lines = records(content, name, separator, header, quoting=declared.quoting)
        line, names = next(lines)
        place = None if header else line
        names_wanted = list(wanted.values())
        check_columns(names, names_wanted, name, place, ignore_others=ignore, separator=separator)
        at = [names.index(column) for column in names_wanted]
        columns = _columns((fields for _, fields in lines), at, wanted)
    count = len(columns["user_id"])
    frame = pd.DataFrame({"record": pd.RangeIndex(1, count + 1).astype("int64")})
    for column in COLUMNS:
        frame[column] = pd.Series(columns.get(column, [""] * count), dtype=object)
    return frame


_EXPECTED = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"


def suffix_of(name: str) -> str:
    """All of a name from its last dot on, or from the one before where it ends in .gz."""
    stem, dot, last = name.rpartition(".")
    if last.lower() == "gz" and "." in stem:
        return f".{stem.rpartition('.')[2]}.{last}"
    return dot + last


def _columns(
    rows: Iterable[Sequence[str]], at: Sequence[int], names: Iterable[str]
) -> dict[str, list[str]]:
    """Rows turned into columns, those at these places of a row.

    A text that repeats is kept once: a day of two million rows needs a fifth of the memory so.
    """
    columns: dict[str, list[str]] = {name: [] for name in names}
    kept: list[dict[str, str]] = [{} for _ in at]
    remaining = iter(rows)
    while some := list(islice(remaining, 10_000)):
        for column, seen, place in zip(columns.values(), kept, at, strict=True):
            texts = [row[place] for row in some]
            column.extend(map(seen.setdefault, texts, texts))
    return columns


def _unpacked(content: bytes, name: str, limit: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=BytesIO(content)) as file:
            unpacked = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ChunkError(name, f"not gzip: {error}") from error
    if len(unpacked) > limit:
        raise ChunkError(name, f"unpacks to more than {limit:,} bytes, which is the limit")
    return unpacked
