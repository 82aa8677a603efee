"""One file of ratings of a known or declared format, turned into what can be cut by day."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from movierec_assets.errors import ChunkError, FetchError
from movierec_assets.ratings.declaration import Declaration, parse_declaration
from movierec_assets.ratings.json_text import json_rows
from movierec_assets.sources.reading import read_ratings

PRESETS = Path(__file__).parent / "presets"


def presets() -> list[str]:
    """The formats that are known by name."""
    return sorted(file.stem for file in PRESETS.glob("*.toml"))


def format_named(text: str) -> Declaration:
    """The declaration of a known format, or of a TOML file.

    Raises:
        FetchError: there is neither.
        DeclarationError: the file cannot be understood.
    """
    file = PRESETS / f"{text}.toml" if text in presets() else Path(text)
    if not file.is_file():
        raise FetchError(f"no format {text!r}: expected one of {', '.join(presets())}, or a file")
    return parse_declaration(file.read_bytes(), file.name)


def read_file(path: Path, declared: Declaration) -> Any:
    """Read a file of ratings, packed with gzip or not: CSV, JSON lines, or the Netflix Prize's.

    Raises:
        ChunkError: as `read_ratings`, no such file, or one that is packed and torn.
    """
    if not path.is_file():
        raise ChunkError(path.name, f"no such file: {path}")
    try:
        return _read(path, declared)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ChunkError(path.name, f"not gzip: {error}") from error


def _read(path: Path, declared: Declaration) -> Any:
    opener: Callable[[], IO[bytes]] = partial(_opened, path)
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    if suffixes[-1:] in ([".json"], [".jsonl"]):
        fields = tuple(declared.names.values())
        declared = declared.model_copy(update={"header": fields})
        opener = partial(_as_csv, opener, partial(json_rows, name=path.name, wanted=fields))
    else:
        with opener() as file:
            first = file.readline().rstrip(b"\r\n")
        if first[:-1].isdigit() and first.endswith(b":"):
            opener = partial(_as_csv, opener, _netflix_rows)
    return read_ratings(opener, path.name, declared)


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path))
    return path.open("rb")


def _as_csv(
    opener: Callable[[], IO[bytes]], rows: Callable[[IO[bytes]], Iterator[list[str]]]
) -> IO[bytes]:
    text = io.StringIO()
    with opener() as file:
        csv.writer(text, lineterminator="\n").writerows(rows(file))
    return io.BytesIO(text.getvalue().encode())


def _netflix_rows(file: IO[bytes]) -> Iterator[list[str]]:
    movie = ""
    for line in file:
        text = line.decode("ascii", "replace").rstrip("\r\n")
        if text.endswith(":"):
            movie = text[:-1]
        else:
            yield [movie, *text.split(",")]
