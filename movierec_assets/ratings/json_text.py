"""JSON lines, read strictly and as a stream: every record, or an error that names the line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import IO, Any

from movierec_assets.errors import ChunkError
from movierec_assets.ratings.hints import check_columns


def json_rows(file: IO[bytes], name: str, wanted: Sequence[str]) -> Iterator[list[str]]:
    """Yield the wanted fields of each line's object as text; one that is missing or null is "".

    Raises:
        ChunkError: a line that is no JSON object, a first line that lacks a field, or a value that
            is no text, number, true or false.
    """
    for line, text in enumerate(file, 1):
        record = _object(text, name, line)
        if line == 1:
            check_columns(list(record), wanted, name, line, ignore_others=True)
        yield [_text(record.get(field), field, name, line) for field in wanted]


def _object(text: bytes, name: str, line: int) -> dict[str, Any]:
    try:
        record = json.loads(text, parse_float=str, parse_int=str)
    except ValueError as error:  # also what is not UTF-8
        raise ChunkError(name, f"not JSON: {error}", line) from error
    except RecursionError as error:
        raise ChunkError(name, "not JSON of ratings: nested too deeply", line) from error
    if not isinstance(record, dict):
        raise ChunkError(name, "not a JSON object", line)
    return record


def _text(value: object, field: str, name: str, line: int) -> str:
    if value is None:
        return ""
    if isinstance(value, list | dict):  # whose text would be an id that nobody has
        kind = "a list" if isinstance(value, list) else "an object"
        raise ChunkError(name, f"{field!r} is {kind}, expected text or a number", line)
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:  # which no database keeps
        raise ChunkError(name, f"{field!r} has half of a surrogate pair", line) from error
    return text
