"""MovieLens in each layout it is published in: found among files, read by header."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

import pandas as pd

from movierec_assets.errors import ChunkError
from movierec_assets.ratings.catalogue import MOVIE_COLUMNS, NO_GENRE
from movierec_assets.ratings.csv_text import records
from movierec_assets.ratings.declaration import Columns, Declaration, Time
from movierec_assets.ratings.hints import check_columns
from movierec_assets.sources.movielens.layouts import FLAGS, LAYOUTS, Layout
from movierec_assets.sources.reading import read_ratings

Files = Mapping[str, Callable[[], IO[bytes]]]  # what there is, by path inside the source

_ID = re.compile(r"[0-9]+")
_YEAR = re.compile(r"\(([0-9]{4})(?:[-–][0-9]{0,4})?\)")
_TEXT_TIME = re.compile(rb'"?[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}"?')  # of Kaggle's copies


@dataclass(frozen=True)
class Dataset:
    """Ratings and movies of one source.

    Attributes:
        ratings: a pyarrow Table, see `read_ratings`.
        movies: `movie_id`, `title` (with its year), `year` (int or None) and `genres` (list of
            str); None where the source has no movies.
    """

    ratings: Any
    movies: pd.DataFrame | None


def read(files: Files, source: str) -> Dataset:
    """Find a MovieLens data set anywhere among `files`, and read it whole.

    Args:
        files: openers by path; the names of the files tell the layout.
        source: what to call all of it in an error.

    Raises:
        ChunkError: no data set or several, a faulty row (file, line and cause), a movie twice, or
        no ratings.
    """
    layout, ratings, movies = _detect(files, source)
    declared = _declared(layout, files[ratings], ratings)
    table = read_ratings(files[ratings], ratings, declared, _ID.pattern)
    return Dataset(table, _movies(layout, files[movies], movies))


def _detect(files: Files, source: str) -> tuple[Layout, str, str]:
    candidates: list[tuple[int, Layout, str, str]] = []
    for name in files:
        path = PurePosixPath(name)
        for layout in LAYOUTS:
            any_stem = layout.ratings.startswith(".")
            if (path.suffix if any_stem else path.name) != layout.ratings:
                continue
            movies = path.with_suffix(layout.movies) if any_stem else path.with_name(layout.movies)
            if str(movies) in files:
                candidates.append((len(path.parts), layout, name, str(movies)))
    nearest = [
        candidate
        for candidate in candidates
        if candidate[0] == min(depth for depth, *_ in candidates)
    ]
    if not nearest:
        known = ", ".join(f"{layout.ratings} with {layout.movies}" for layout in LAYOUTS)
        raise ChunkError(source, f"no MovieLens data in it: expected {known}")
    if len(nearest) > 1:
        several = ", ".join(sorted(name for _, _, name, _ in nearest))
        raise ChunkError(source, f"several data sets in it: {several}")
    return nearest[0][1:]


def _declared(layout: Layout, opener: Callable[[], IO[bytes]], name: str) -> Declaration:
    """What a file of ratings of this layout is: its header names the columns, in any order."""
    with opener() as file:
        first, second = file.readline(), file.readline()
    if not first:
        raise ChunkError(name, "zero bytes, not even a header")
    times = [field for field in second.split(layout.separator.encode()) if _TEXT_TIME.match(field)]
    columns, names = Columns(), None
    if layout.has_header:
        columns = Columns(**_named(_fields(first, name, layout), layout.columns, name))
    else:
        names = ("user_id", "movie_id", "rating", "timestamp")
    return Declaration(
        separator=layout.separator,
        quoting=layout.quoting,
        header=names,
        other_columns="ignored" if layout.has_header else "refused",
        columns=columns,
        time=Time(format="%Y-%m-%d %H:%M:%S") if times else Time(),
    )


def _fields(line: bytes, name: str, layout: Layout) -> list[str]:
    ended = line if line.endswith(b"\n") else line + b"\n"
    return next(records(ended, name, layout.separator, quoting=layout.quoting))[1]


def _named(header: Sequence[str], known: Mapping[str, str], name: str) -> dict[str, str]:
    """The file's column by ours: as it is published, or written a little otherwise."""
    plain = {re.sub("[^a-z]", "", column.lower().split(":")[0]): column for column in header}
    names = {ours: plain.get(short) for ours, short in known.items()}
    missing = [known[ours] for ours, column in names.items() if column is None]
    if missing:
        check_columns(header, missing, name, 1, ignore_others=True)
    return {ours: column for ours, column in names.items() if column is not None}


def _movies(layout: Layout, opener: Callable[[], IO[bytes]], name: str) -> pd.DataFrame:
    with opener() as file:
        content = file.read()
    movies: dict[str, tuple[str, str, int | None, list[str]]] = {}
    for line, row in _movie_rows(layout, content, name):
        title, genres = row["title"].strip(), row["genres"].split(layout.genre_separator)
        if layout.flags:
            genres = [genre for genre in FLAGS if row[genre] == "1"]
        if re.fullmatch("[0-9]{4}", row.get("year", "")) and f"({row['year']})" not in title:
            title = f"{title} ({row['year']})"  # RecBole moved the year out of the title
        title = layout.misspelt.get(title, title)
        movie_id = row["movie_id"]
        if not _ID.fullmatch(movie_id) or not title:
            raise ChunkError(name, f"movie id {movie_id!r} with title {title!r}", line)
        if movie_id in movies:
            raise ChunkError(name, f"movie {movie_id} again", line)
        years = _YEAR.findall(title)
        named = [genre for genre in genres if genre not in (*NO_GENRE, "unknown")]
        movies[movie_id] = (movie_id, title, int(years[-1]) if years else None, named)
    return pd.DataFrame(list(movies.values()), columns=list(MOVIE_COLUMNS), dtype=object)


def _movie_rows(layout: Layout, content: bytes, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    if not layout.has_header:
        # The older sets; Latin-1 with accents is practically never valid UTF-8.
        try:
            content.decode("utf-8-sig")
        except UnicodeDecodeError:
            content = content.decode("latin-1").encode()
    content = content if content.endswith(b"\n") else content + b"\n"
    rows = records(
        content, name, layout.movie_separator, layout.movie_header, quoting=layout.quoting
    )
    _, header = next(rows)
    at = {column: place for place, column in enumerate(header)}
    if layout.has_header:
        named = _named(header, layout.movie_columns, name)
        at = {ours: header.index(theirs) for ours, theirs in named.items()}
    for line, fields in rows:
        yield line, {ours: fields[place] for ours, place in at.items()}
