"""The catalogue of movies, as it is delivered: movies.csv."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date

import pandas as pd

from movierec_assets.errors import ChunkError
from movierec_assets.ratings import ids
from movierec_assets.ratings.csv_text import records
from movierec_assets.ratings.hints import check_columns

MOVIE_COLUMNS = ("movie_id", "title", "year", "genres")
AVAILABLE = ("available_from", "available_until")  # optional: the first and the last day (UTC)
NO_GENRE = ("", "(no genres listed)")
_YEAR = re.compile(r"[0-9]{4}")


def parse_movies(content: bytes, name: str) -> pd.DataFrame:
    """Read the catalogue, a CSV as strict as a chunk's, genres separated by `|`.

    Ids are mended as those of ratings are. Columns come in any order; `AVAILABLE` are days, and any
    further column is kept as text.

    Returns: One row per movie: `movie_id` and `title` (object), `year` (Int64, missing where empty)
        and `genres` (a list of str, empty where none); with further columns also
        `available_from`, `available_until` (ISO days or None) and `extra` (JSON of all others).

    Raises:
        ChunkError: as `records`, or a movie_id that is empty or repeated, or a year or a day that
        is none, or days in the wrong order.
    """
    rows = records(content, name)
    line, header = next(rows)
    check_columns(header, MOVIE_COLUMNS, name, line, ignore_others=True, separator=",")
    if twice := sorted({column for column in header if header.count(column) > 1}):
        raise ChunkError(name, f"columns: repeated {', '.join(map(repr, twice))}", line)
    first_seen: dict[str, int] = {}
    movies: list[dict[str, object]] = []
    for line, fields in rows:
        row = dict(zip(header, fields, strict=True))
        movie_id = row.pop("movie_id")
        kept = _movie_id(movie_id, name, line)
        if kept in first_seen:
            first = first_seen[kept]
            raise ChunkError(name, f"movie_id {movie_id!r} again, first in line {first}", line)
        first_seen[kept] = line
        movies.append({"movie_id": kept, **_movie(row, name, line)})
    columns = [*MOVIE_COLUMNS]
    if set(header) > set(MOVIE_COLUMNS):
        columns += [*AVAILABLE, "extra"]
    frame = pd.DataFrame(movies, columns=columns, dtype=object)
    return frame.astype({"year": "Int64"})


def _movie_id(text: str, name: str, line: int) -> str:
    kept, _ = ids.mend(text)
    if not kept:
        raise ChunkError(name, "movie_id: empty", line)
    if kept in ids.NULLS:
        raise ChunkError(name, f"movie_id {text!r}: a null written as text", line)
    return kept


def _movie(row: dict[str, str], name: str, line: int) -> dict[str, object]:
    year = row.pop("year").strip().removesuffix(".0")  # as tables with gaps write it
    if year and not _YEAR.fullmatch(year):
        raise ChunkError(name, f"year {year!r} is not four digits", line)
    genres = [genre.strip() for genre in row.pop("genres").split("|")]
    first, last = (_day(row.pop(field, ""), field, name, line) for field in AVAILABLE)
    if first and last and last < first:
        raise ChunkError(name, f"available_until {last} is before available_from {first}", line)
    return {
        "title": row.pop("title"),
        "year": int(year) if year else None,
        "genres": [genre for genre in genres if genre not in NO_GENRE],
        **dict(zip(AVAILABLE, (first, last), strict=True)),
        "extra": json.dumps(row, ensure_ascii=False, sort_keys=True),
    }


def _day(text: str, field: str, name: str, line: int) -> str | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise ChunkError(name, f"{field} {text!r} is no day: expected YYYY-MM-DD", line) from error


@dataclass(frozen=True)
class Exchange:
    """What a new catalogue would do: how many movies there were, are, and are gone."""

    before: int
    after: int
    gone: int

    def refused(self, max_gone_share: float) -> str | None:
        """Why the catalogue before should stay; None if the new one may take its place."""
        if self.before and not self.after:
            return f"it has no movies, the catalogue before has {self.before:,}"
        share = self.gone / self.before if self.before else 0.0
        if share > max_gone_share:
            return (
                f"{self.gone:,} of {self.before:,} movies are gone ({share:.1%}, at most "
                f"{max_gone_share:.1%} are tolerated)"
            )
        return None
