"""A file of many days' ratings, read by DuckDB as its source declares it.

DuckDB is fast, and does not say what is wrong in a way that helps: where it refuses a file, or a
value means nothing, the strict reader of chunks looks for the line.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from movierec_assets.errors import ChunkError
from movierec_assets.ratings.csv_text import records
from movierec_assets.ratings.declaration import UNITS, Declaration
from movierec_assets.ratings.hints import check_columns
from movierec_assets.ratings.meaning import NO_TIME, second_of, seconds_of, stars_of

_LONGEST_LINE = 1 << 21  # bytes
_BLOCK = 1 << 24  # bytes


def read_ratings(
    opener: Callable[[], IO[bytes]], name: str, declared: Declaration, id_pattern: str = ".+"
) -> Any:
    """Read a CSV of ratings whole.

    Args:
        opener: opens the file; called again to look for a fault.
        name: what to call it in an error.
        id_pattern: what an id of this source looks like.

    Returns: a pyarrow Table in the order of the file: `user_id`, `movie_id` (text), `rating` (plain
        text of stars, "4" or "3.5") and `timestamp` (int64, seconds since 1970).

    Raises:
        ChunkError: a faulty row (file, line and cause), or no ratings.
    """
    with tempfile.TemporaryDirectory(prefix="movierec-fetch-") as folder:
        plain = Path(folder) / "ratings"
        lines = _copied(opener, plain)
        if not lines:
            raise ChunkError(name, "zero bytes, not even a header")
        header = _header(plain, name, declared)
        try:
            with duckdb.connect() as connection:
                connection.execute("SET temp_directory = $folder", {"folder": folder})
                table = _table(connection, plain, header, declared, id_pattern)
        except duckdb.Error as error:
            said = str(error).partition("\n")[0]
            raise _fault(plain, name, declared, id_pattern) or ChunkError(name, said) from error
        expected = lines - (declared.header is None)
        if table is None or table.num_rows != expected:  # a quoted newline, or a blank line
            fault = _fault(plain, name, declared, id_pattern)
            if fault is not None:
                raise fault
        if table is None or not table.num_rows:
            raise ChunkError(name, "no ratings")
        return table


def _copied(opener: Callable[[], IO[bytes]], to: Path) -> int:
    """Copy a file block by block, each line ended by a newline alone; how many lines it has.

    DuckDB reads no file whose lines end in more than one way.
    """
    lines, last, held = 0, b"\n", b""
    with opener() as source, to.open("wb") as target:
        while block := source.read(_BLOCK):
            whole = held + block
            held = b"\r" if whole.endswith(b"\r") else b""  # its newline may come next
            plain = whole.removesuffix(b"\r").replace(b"\r\n", b"\n")
            lines += plain.count(b"\n")
            last = held or plain[-1:] or last
            target.write(plain)
        target.write(held)
        if last != b"\n":
            target.write(b"\n")
            lines += 1
    return lines


def _header(file: Path, name: str, declared: Declaration) -> Sequence[str]:
    """The file's columns, with the wanted ones among them."""
    with file.open("rb") as opened:
        first = opened.readline(_LONGEST_LINE)
    _, header = next(
        records(first, name, declared.separator, declared.header, quoting=declared.quoting)
    )
    wanted = list(declared.names.values())
    line = None if declared.header else 1
    ignore = declared.other_columns == "ignored"
    check_columns(header, wanted, name, line, ignore_others=ignore, separator=declared.separator)
    return header


def _table(
    connection: duckdb.DuckDBPyConnection,
    file: Path,
    header: Sequence[str],
    declared: Declaration,
    id_pattern: str,
) -> Any:
    """The ratings, None where a value means nothing."""
    quote = '"' if declared.quoting else ""
    connection.execute(
        """CREATE TABLE delivered AS SELECT row_number() OVER () AS record, * FROM read_csv(
               $path, columns = $columns, delim = $separator, quote = $quote, escape = $quote,
               header = $header, auto_detect = false, strict_mode = true, null_padding = false,
               nullstr = $no_null, max_line_size = $longest, parallel = false)""",
        {
            "path": str(file),
            # By place: for DuckDB, `rating` and `Rating` are one name.
            "columns": {f"c{place}": "VARCHAR" for place in range(len(header))},
            "separator": declared.separator,
            "quote": quote,
            "header": declared.header is None,
            "no_null": uuid4().hex,  # any text may be an id
            "longest": _LONGEST_LINE,
        },
    )
    name_of = {ours: f"c{header.index(theirs)}" for ours, theirs in declared.names.items()}
    rating = name_of.get("rating", "''")
    distinct = connection.execute(f"SELECT DISTINCT {rating} FROM delivered").fetchall()
    stars = [(text, _plain(text, declared)) for (text,) in distinct]
    text, meant = (pa.array(some, pa.string()) for some in zip(*stars or [("", None)], strict=True))
    connection.register("meaning", pa.table({"text": text, "stars": meant}))
    moment = _moments(connection, name_of["timestamp"], declared)
    connection.execute(
        f"""CREATE TABLE found AS
            SELECT record, {name_of["user_id"]} AS user_id, {name_of["movie_id"]} AS movie_id,
                   stars AS rating, {moment} AS "timestamp"
            FROM delivered LEFT JOIN meaning ON {rating} = meaning.text"""
    )
    (faults,) = connection.execute(
        """SELECT count(*) FROM found
           WHERE rating IS NULL OR "timestamp" IS NULL
              OR NOT regexp_full_match(user_id, $1) OR NOT regexp_full_match(movie_id, $1)""",
        [id_pattern],
    ).fetchall()[0]
    if faults:
        return None
    ratings = 'SELECT user_id, movie_id, rating, "timestamp" FROM found ORDER BY record'
    # In one chunk: picking rows out of many is slow.
    return connection.sql(ratings).to_arrow_table().combine_chunks()


def _plain(text: str, declared: Declaration) -> str | None:
    stars = stars_of(text, declared)
    return None if stars != stars else f"{stars:g}"


def _moments(connection: duckdb.DuckDBPyConnection, column: str, declared: Declaration) -> str:
    """The SQL of a point in time in whole seconds, NULL where a text is none."""
    time = declared.time
    if time.format is None:
        return (
            f"CASE WHEN regexp_full_match({column}, '[0-9]{{1,19}}') "
            f"THEN least({column}::HUGEINT // {UNITS[time.unit]}, {2**63 - 1})::BIGINT END"
        )
    if time.format != "iso" and time.zone == "UTC":
        connection.execute("SET VARIABLE format = $1", [time.format])
        second = f"epoch_us(try_strptime({column}, getvariable('format'))) // 1000000"
        return f"CASE WHEN {second} >= 0 THEN {second} END"
    distinct = connection.execute(f"SELECT DISTINCT {column} AS text FROM delivered").df()["text"]
    seconds = seconds_of(distinct, declared)
    known = pa.table({"text": pa.array(distinct), "seconds": pa.array(seconds)})
    connection.register("moments", known)
    return f"(SELECT nullif(seconds, {NO_TIME}) FROM moments WHERE text = {column})"


def _fault(file: Path, name: str, declared: Declaration, id_pattern: str) -> ChunkError | None:
    """Find the first faulty row, None if there is none."""
    rows = records(
        file.read_bytes(), name, declared.separator, declared.header, quoting=declared.quoting
    )
    try:
        _, header = next(rows)
        at = {ours: header.index(theirs) for ours, theirs in declared.names.items()}
        for line, fields in rows:
            fields_by_name = {ours: fields[place] for ours, place in at.items()}
            if (cause := _cause(fields_by_name, declared, id_pattern)) is not None:
                return ChunkError(name, cause, line)
    except ChunkError as error:
        return error
    return None


def _cause(row: Mapping[str, str], declared: Declaration, id_pattern: str) -> str | None:
    for ours, what in (("user_id", "user id"), ("movie_id", "movie id")):
        if not re.fullmatch(id_pattern, row[ours]):
            return f"{what} {row[ours]!r} is not one of this source's"
    if _plain(row.get("rating", ""), declared) is None:
        return f"rating {row['rating']!r} is no rating of this source's scale"
    moment = row["timestamp"]
    if declared.time.format is None and not re.fullmatch("[0-9]{1,19}", moment):
        return f"timestamp {moment!r} is not a whole number"
    if second_of(moment, declared.time) == NO_TIME:
        return f"timestamp {moment!r} is no point in time since 1970 as this source writes them"
    return None
