"""MovieLens in each format it is published in, read strictly and cut into days."""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.csv  # type: ignore[import-untyped]

from movierec_assets.errors import ChunkError
from movierec_assets.ratings.catalogue import MOVIE_COLUMNS
from movierec_assets.ratings.chunks import COLUMNS

Files = Mapping[str, Callable[[], IO[bytes]]]  # what there is, by path inside the source

_EPOCH = date(1970, 1, 1)
_DAY = 86_400  # seconds
_LONGEST = 36_525  # days, a century: more means that the timestamps are not in seconds
_ID = re.compile(r"[0-9]+")
_STARS = re.compile(r"[0-9]+(\.[0-9]+)?")
_YEAR = re.compile(r"\(([0-9]{4})(?:[-–][0-9]{0,4})?\)")
_FIELDS = (("user id", _ID), ("movie id", _ID), ("rating", _STARS), ("timestamp", _ID))
_TYPES = {column: pa.int64() for column in COLUMNS} | {
    "rating": pa.dictionary(pa.int32(), pa.string())
}
# The order of the flags at the end of a line of u.item, as u.genre gives it.
_FLAGS = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
_NO_GENRE = {"", "unknown", "(no genres listed)"}


@dataclass(frozen=True)
class Dataset:
    """Ratings and movies of one source.

    Attributes:
        ratings: a pyarrow Table in the order of the source: `user_id`, `movie_id`, `timestamp`
            (int64, seconds since 1970) and `rating` (dictionary of plain text, "4" or "3.5").
        movies: `movie_id`, `title` (with its year), `year` (int or None) and `genres` (list of
            str).
    """

    ratings: Any
    movies: pd.DataFrame


@dataclass(frozen=True)
class _Layout:
    """How one generation of MovieLens is written. A name that begins with a dot is a suffix."""

    ratings: str
    movies: str
    separator: str  # of ratings
    movie_separator: str
    header: tuple[str, ...] = ()  # user, movie, rating, time; none: no header, and in this order
    movie_fields: int = 3


_RECBOLE = ("user_id:token", "item_id:token", "rating:float", "timestamp:float")
_LAYOUTS = (
    _Layout("ratings.csv", "movies.csv", ",", ",", ("userId", "movieId", "rating", "timestamp")),
    _Layout("ratings.dat", "movies.dat", "::", "::"),
    _Layout("u.data", "u.item", "\t", "|", movie_fields=5 + len(_FLAGS)),
    _Layout(".inter", ".item", "\t", "\t", _RECBOLE, movie_fields=4),
)


def read(files: Files, source: str) -> Dataset:
    """Find a MovieLens data set anywhere among `files`, and read it whole.

    Args:
        files: openers by path; the names of the files tell the format.
        source: what to call all of it in an error.

    Raises:
        ChunkError: no data set or several, a faulty row (file, line and cause), a movie twice, or
        no ratings.
    """
    layout, ratings, movies = _detect(files, source)
    return Dataset(
        _ratings(layout, files[ratings], ratings), _movies(layout, files[movies], movies)
    )


def digest(ratings: Any) -> str:
    """Give the SHA-256 (hex) of the ratings as a set: in whatever order and format they came."""
    return hashlib.sha256(b"\n".join(sorted(_csv(ratings).splitlines()))).hexdigest()


def span(ratings: Any, since: date | None = None, until: date | None = None) -> list[date]:
    """List the days from the first with ratings to the last, both within `since` and `until`
    (inclusive).

    Raises:
        ChunkError: ratings more than a century apart, or of a day that no calendar has.
    """
    seconds = ratings["timestamp"].to_numpy()
    first, last = int(seconds.min()) // _DAY, int(seconds.max()) // _DAY
    if last - first > _LONGEST or last > (date.max - _EPOCH).days:
        raise ChunkError(
            "ratings",
            f"they span {last - first} days, up to day {last} since 1970: are the timestamps in "
            "seconds?",
        )
    low = first if since is None else max(first, (since - _EPOCH).days)
    high = last if until is None else min(last, (until - _EPOCH).days)
    return [_EPOCH + timedelta(days=number) for number in range(low, high + 1)]


def cut(ratings: Any, days: Sequence[date]) -> Iterator[tuple[date, bytes]]:
    """Cut ratings by UTC day.

    Yields: Each of `days` (consecutive, as `span` gives them) with the CSV of its ratings, by
        timestamp, then as in the source; a day without ratings is a header alone.
    """
    seconds = ratings["timestamp"].to_numpy()
    order = np.argsort(seconds, kind="stable")
    first = (days[0] - _EPOCH).days
    cuts = np.searchsorted(seconds, np.arange(first, first + len(days) + 1) * _DAY, sorter=order)
    for day, start, stop in zip(days, cuts, cuts[1:], strict=False):
        yield day, f"{','.join(COLUMNS)}\n".encode() + _csv(ratings.take(order[start:stop]))


def movies_csv(movies: pd.DataFrame) -> bytes:
    """Write the catalogue of movies as the landing zone has it, genres separated by `|`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(MOVIE_COLUMNS)
    for movie_id, title, year, genres in movies[list(MOVIE_COLUMNS)].itertuples(index=False):
        writer.writerow((movie_id, title, "" if year is None else year, "|".join(genres)))
    return text.getvalue().encode()


def _detect(files: Files, source: str) -> tuple[_Layout, str, str]:
    found: list[tuple[int, _Layout, str, str]] = []
    for name in files:
        path = PurePosixPath(name)
        for layout in _LAYOUTS:
            any_stem = layout.ratings.startswith(".")
            if (path.suffix if any_stem else path.name) != layout.ratings:
                continue
            movies = path.with_suffix(layout.movies) if any_stem else path.with_name(layout.movies)
            if str(movies) in files:
                found.append((len(path.parts), layout, name, str(movies)))
    nearest = [
        candidate for candidate in found if candidate[0] == min(found, key=lambda one: one[0])[0]
    ]
    if not nearest:
        known = ", ".join(f"{layout.ratings} with {layout.movies}" for layout in _LAYOUTS)
        raise ChunkError(source, f"no MovieLens data in it: expected {known}")
    if len(nearest) > 1:
        several = ", ".join(sorted(name for _, _, name, _ in nearest))
        raise ChunkError(source, f"several data sets in it: {several}")
    return nearest[0][1:]


def _ratings(layout: _Layout, opener: Callable[[], IO[bytes]], name: str) -> Any:
    names = list(COLUMNS)
    with opener() as file:
        if layout.header:
            line = file.readline().decode("utf-8-sig", "replace").rstrip("\r\n")
            header = [column.strip('"') for column in line.split(layout.separator)]
            if sorted(header) != sorted(layout.header):
                raise ChunkError(name, f"header {header}, expected {list(layout.header)}", 1)
            names = [COLUMNS[layout.header.index(column)] for column in header]
        body, delimiter = file, layout.separator
        if len(delimiter) > 1:  # pyarrow takes one byte
            body, delimiter = io.BytesIO(file.read().replace(delimiter.encode(), b"\t")), "\t"
        try:
            table = pa.csv.read_csv(
                body,
                pa.csv.ReadOptions(column_names=names),
                pa.csv.ParseOptions(
                    delimiter=delimiter, quote_char=False, ignore_empty_lines=False
                ),
                pa.csv.ConvertOptions(column_types=_TYPES, null_values=[]),
            ).select(COLUMNS)
            table = (
                table.unify_dictionaries().combine_chunks()
            )  # picking rows out of many chunks is slow
        except pa.ArrowInvalid as error:
            raise _fault(layout, opener, name, names) or ChunkError(name, str(error)) from error
    stars = table["rating"].chunk(0)
    written = stars.dictionary.to_pylist()
    ids = (table[column].to_numpy() for column in ("user_id", "movie_id", "timestamp"))
    if not all(map(_STARS.fullmatch, written)) or any(values.min() < 0 for values in ids):
        raise _fault(layout, opener, name, names) or ChunkError(name, "a row that is no rating")
    plain = [text.rstrip("0").rstrip(".") if "." in text else text for text in written]
    return table.set_column(2, "rating", pa.DictionaryArray.from_arrays(stars.indices, plain))


def _fault(
    layout: _Layout, opener: Callable[[], IO[bytes]], name: str, names: Sequence[str]
) -> ChunkError | None:
    """Find the first faulty row, or that there is no row: slow, but the fast reader does not say
    the line.
    """
    expected = [_FIELDS[COLUMNS.index(column)] for column in names]
    line = 0
    with opener() as file:
        for line, content in enumerate(file, 1):
            if line == 1 and layout.header:
                continue
            fields = content.decode("utf-8", "replace").rstrip("\r\n").split(layout.separator)
            if len(fields) != len(COLUMNS):
                return ChunkError(
                    name, f"expected {len(COLUMNS)} fields, found {len(fields)}", line
                )
            for value, (what, pattern) in zip(fields, expected, strict=True):
                if not pattern.fullmatch(value):
                    return ChunkError(name, f"{what} {value!r} is not a number", line)
    return None if line > bool(layout.header) else ChunkError(name, "no ratings")


def _movies(layout: _Layout, opener: Callable[[], IO[bytes]], name: str) -> pd.DataFrame:
    with opener() as file:
        rows = _movie_rows(layout, file.read(), name)
    movies: dict[str, tuple[str, str, int | None, list[str]]] = {}
    for line, fields in rows:
        if len(fields) != layout.movie_fields:
            raise ChunkError(
                name, f"expected {layout.movie_fields} fields, found {len(fields)}", line
            )
        movie_id, title, genres = fields[0], fields[1].strip(), fields[2].split("|")
        if layout.ratings == "u.data":
            genres = [genre for genre, flag in zip(_FLAGS, fields[5:], strict=True) if flag == "1"]
        elif layout.ratings == ".inter":
            # RecBole moved the year out of the title, and misspelt ml-100k's one unknown movie.
            title = title.replace("unkonwn", "unknown")
            year, genres = fields[2], fields[3].split(" ")
            if re.fullmatch("[0-9]{4}", year) and f"({year})" not in title:
                title = f"{title} ({year})"
        if not _ID.fullmatch(movie_id) or not title:
            raise ChunkError(name, f"movie id {movie_id!r} with title {title!r}", line)
        if movie_id in movies:
            raise ChunkError(name, f"movie {movie_id} again", line)
        years = _YEAR.findall(title)
        named = [genre for genre in genres if genre not in _NO_GENRE]
        movies[movie_id] = (movie_id, title, int(years[-1]) if years else None, named)
    return pd.DataFrame(list(movies.values()), columns=list(MOVIE_COLUMNS), dtype=object)


def _movie_rows(layout: _Layout, content: bytes, name: str) -> list[tuple[int, list[str]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if layout.header:
            raise ChunkError(name, "not UTF-8", content.count(b"\n", 0, error.start) + 1) from error
        # The older sets; Latin-1 with accents is practically never valid UTF-8.
        text = content.decode("latin-1")
    if layout.movie_separator == ",":
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            rows = [(reader.line_num, row) for row in reader]
        except csv.Error as error:
            raise ChunkError(name, f"not CSV: {error}", reader.line_num) from error
    else:
        lines = text.removesuffix("\n").split("\n")
        rows = [
            (at, line.rstrip("\r").split(layout.movie_separator))
            for at, line in enumerate(lines, 1)
        ]
    return rows[1:] if layout.header else rows


def _csv(ratings: Any) -> bytes:
    rating = ratings["rating"].cast(pa.string())
    table = ratings.select(COLUMNS).set_column(COLUMNS.index("rating"), "rating", rating)
    out = io.BytesIO()
    pa.csv.write_csv(table, out, pa.csv.WriteOptions(include_header=False, quoting_style="none"))
    return out.getvalue()
