"""Which movies a list leaves out: what was asked for, what is blocked, what is not available.

A request without wishes costs nothing here: None is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.catalogue import Catalogue
from movierec_serving.errors import OptionError

SHOWN = 10  # values of a column that a message names
Mask = NDArray[np.bool_]  # (C,) True for movies that no list may have


@dataclass(frozen=True)
class Wish:
    """What movies must be, by the catalogue.

    Attributes:
        genre, genre_all, genre_none: any of these, all of these, none of these.
        year_from, year_to: both included; a movie without a year is in no range.
        where: `column:value`, one of those of the same column.
        exclude: ids to leave out; unknown ones are ignored.
    """

    genre: Sequence[str] = ()
    genre_all: Sequence[str] = ()
    genre_none: Sequence[str] = ()
    year_from: int | None = None
    year_to: int | None = None
    where: Sequence[str] = ()
    exclude: Sequence[str] = ()


NO_WISH = Wish()


def left_out(
    catalogue: Catalogue, wish: Wish, blocked: NDArray[np.integer[Any]], day: int
) -> Mask | None:
    """(C,) True for movies that no list of this request may have.

    None where these are the withdrawn ones alone, which is a question less for every item of a
    plain request.

    Args:
        blocked: rows.
        day: of the request (UTC), in days since 1970.

    Raises:
        OptionError: as `unlike`.
    """
    if wish is NO_WISH and not len(blocked) and not catalogue.bounded:
        return None
    out = catalogue.closed(day).copy()
    out[blocked] = True
    if wish != NO_WISH:
        out |= unlike(catalogue, wish)
    return out


def unlike(catalogue: Catalogue, wish: Wish) -> Mask:
    """(C,) True for movies that are not as wished.

    Raises:
        OptionError: the wish names a genre, a column or a value that the catalogue does not have.
    """
    out = np.zeros(len(catalogue), np.bool_)
    out[catalogue.rows(wish.exclude)] = True
    if wish.genre:
        out |= ~_genres(catalogue, "genre", wish.genre).any(axis=1)
    if wish.genre_all:
        out |= ~_genres(catalogue, "genre_all", wish.genre_all).all(axis=1)
    if wish.genre_none:
        out |= _genres(catalogue, "genre_none", wish.genre_none).any(axis=1)
    if wish.year_from is not None or wish.year_to is not None:
        first, last = wish.year_from or 1, wish.year_to or np.iinfo(np.int32).max
        out |= (catalogue.years < first) | (catalogue.years > last)
    for rows in _movies_where(catalogue, wish.where):
        other = np.ones(len(out), np.bool_)
        other[rows] = False
        out |= other
    return out


def _genres(catalogue: Catalogue, field: str, names: Sequence[str]) -> Mask:
    """(C, len(names)) whether a movie has each."""
    try:
        return catalogue.item_genres[:, [catalogue.genre_names.index(name) for name in names]]
    except ValueError:
        known = catalogue.genre_names
        unknown = next(name for name in names if name not in known)
        text = f"no genre {unknown!r}; there are {', '.join(known)}"
        raise OptionError(field, text) from None


def _movies_where(catalogue: Catalogue, where: Sequence[str]) -> list[NDArray[np.int32]]:
    """Of each column that is named the rows with one of the values asked for."""
    rows_by_value: dict[str, list[NDArray[np.int32]]] = {}
    for asked in where:
        column = asked.partition(":")[0]
        if column not in catalogue.columns:
            known = ", ".join(catalogue.columns) or "none"
            raise OptionError("where", f"no column {column!r}; there are {known}")
        place = int(np.searchsorted(catalogue.values, asked.encode(errors="replace")))
        if place == len(catalogue.values) or _at(catalogue, place) != asked:
            raise OptionError("where", _unknown_value(catalogue, column, asked))
        begin, end = catalogue.value_offsets[place : place + 2]
        rows_by_value.setdefault(column, []).append(catalogue.value_movies[begin:end])
    return [np.concatenate(rows) for rows in rows_by_value.values()]


def _at(catalogue: Catalogue, place: int) -> str:
    return bytes(catalogue.values[place]).decode()


def _unknown_value(catalogue: Catalogue, column: str, asked: str) -> str:
    """A message with the first values that the column has."""
    begin = int(np.searchsorted(catalogue.values, f"{column}:".encode()))
    end = min(begin + SHOWN + 1, len(catalogue.values))
    pairs = [_at(catalogue, place).partition(":") for place in range(begin, end)]
    known = [value for name, _, value in pairs if name == column]
    there_are = ", ".join(known[:SHOWN] + ["…"] * (len(known) > SHOWN))
    _, colon, value = asked.partition(":")
    if not colon:
        return f"{asked!r} names no value: expected such as '{column}:{known[0]}'"
    return f"no movie has {value!r} in {column}; there are {there_are}"
