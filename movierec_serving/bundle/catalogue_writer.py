"""A catalogue as it is delivered becomes the arrays of a publication."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.catalogue import NEVER, OPEN_END, Catalogue, Movie
from movierec_serving.bundle.layout import is_id
from movierec_serving.bundle.recency import day_number
from movierec_serving.bundle.titles import searchable
from movierec_serving.errors import BundleError

MAX_VALUE_LENGTH = 64  # characters; what is longer in a further column is a text, no value
SEPARATOR = "|"  # of several values in a cell


def catalogue_of(item_ids: NDArray[np.bytes_], movies: Mapping[str, Movie]) -> Catalogue:
    """The arrays of a catalogue beside a model's items.

    Items that it lacks have left it. An empty catalogue says nothing, so nothing has.

    Raises:
        BundleError: a title is no text.
    """
    rated = [bytes(raw).decode() for raw in item_ids]
    others = sorted(filter(is_id, movies.keys() - set(rated)), key=str.encode)
    listed = [movies.get(movie_id) for movie_id in (*rated, *others)]
    try:
        titles = [(movie.title or "").encode() if movie else b"" for movie in listed]
    except UnicodeEncodeError as error:
        raise BundleError(f"movies: a title is not Unicode text: {error}") from error
    names, genres = _genres(listed)
    absent = NEVER if movies else (-OPEN_END, OPEN_END)
    arrays: dict[str, NDArray[Any]] = {
        "titles": np.frombuffer(b"".join(titles), dtype=np.uint8),
        "title_offsets": np.cumsum([0, *map(len, titles)], dtype=np.int64),
        "searchable_titles": np.frombuffer(b"".join(map(_searchable, titles)), dtype=np.uint8),
        "item_genres": genres,
        "other_ids": _texts([movie_id.encode() for movie_id in others]),
        "years": np.array([(movie.year or 0) if movie else 0 for movie in listed], np.int32),
        "available": np.array([_days(movie) if movie else absent for movie in listed], np.int32),
        **_values(listed),
    }
    columns = {name for movie in listed if movie for name in movie.columns if ":" not in name}
    return Catalogue.of(item_ids, names, tuple(sorted(columns)), arrays)


def _searchable(title: bytes) -> bytes:
    return searchable(title.decode().replace("\0", " ")).encode() + b"\0"


def _genres(listed: Sequence[Movie | None]) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """The names, and (C, G) which movie has which."""
    names = sorted({genre for movie in listed if movie for genre in movie.genres})
    column = {name: index for index, name in enumerate(names)}
    genres = np.zeros((len(listed), len(names)), dtype=np.bool_)
    for row, movie in enumerate(listed):
        genres[row, [column[genre] for genre in (movie.genres if movie else ())]] = True
    return tuple(names), genres


def _days(movie: Movie) -> tuple[int, int]:
    first, last = movie.available_from, movie.available_until
    return (
        -OPEN_END if first is None else day_number(first),
        OPEN_END if last is None else day_number(last),
    )


def _values(listed: Sequence[Movie | None]) -> dict[str, NDArray[Any]]:
    """The movies of each value of a further column."""
    rows: dict[bytes, list[int]] = {}
    for row, movie in enumerate(listed):
        for name, cell in movie.columns.items() if movie else ():
            for value in dict.fromkeys(part.strip() for part in cell.split(SEPARATOR)):
                if 0 < len(value) <= MAX_VALUE_LENGTH and "\0" not in value:
                    rows.setdefault(f"{name}:{value}".encode(), []).append(row)
    keys = sorted(rows)
    return {
        "values": _texts(keys),
        "value_offsets": np.cumsum([0, *(len(rows[key]) for key in keys)], dtype=np.int64),
        "value_movies": np.array([row for key in keys for row in rows[key]], np.int32),
    }


def _texts(texts: Sequence[bytes]) -> NDArray[np.bytes_]:
    return np.array(texts, "S") if texts else np.empty(0, "S1")
