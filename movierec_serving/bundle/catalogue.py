"""What a publication knows of movies besides the model: titles, genres, years, days, columns.

Rows are the model's items first, then the movies that nobody has rated, by id. How a catalogue
becomes arrays is `catalogue_writer.py`'s; which movies a list leaves out is `filters.py`'s.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.model import row_of, rows_of
from movierec_serving.bundle.titles import needles, searchable
from movierec_serving.errors import BundleError

OPEN_END = 2**31 - 1  # days since 1970: no first day, or no last one
NEVER = (1, 0)  # first and last day of a movie that has left the catalogue

Arrays = Mapping[str, NDArray[Any]]

# name -> dtype ("|S" of any width) and shape; C movies, G genres; "" is any extent
LAYOUT: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "titles": ("|u1", ("",)),  # all titles as UTF-8, one after the other
    "title_offsets": ("<i8", ("C + 1",)),  # where each begins
    "searchable_titles": ("|u1", ("",)),  # what queries are looked for in, each ended by a NUL
    "item_genres": ("|b1", ("C", "G")),
    "other_ids": ("|S", ("",)),  # of the movies that nobody has rated, ascending
    "years": ("<i4", ("C",)),  # 0 for none
    "available": ("<i4", ("C", "2")),  # first and last day, days since 1970, both included
    "values": ("|S", ("",)),  # `column:value`, ascending
    "value_offsets": ("<i8", ("V + 1",)),  # where the movies of each begin
    "value_movies": ("<i4", ("",)),  # rows
}
FIRST = ("titles", "title_offsets", "item_genres")  # what publications of format 1 have


@dataclass(frozen=True)
class Movie:
    """What the catalogue says about a movie; days are ISO, both included."""

    movie_id: str
    title: str | None
    genres: tuple[str, ...]
    year: int | None = None
    available_from: str | None = None
    available_until: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The arrays of `LAYOUT`, and the names of genres and of further columns."""

    item_ids: NDArray[np.bytes_] = field(repr=False)
    genre_names: tuple[str, ...]
    columns: tuple[str, ...]
    titles: NDArray[np.uint8] = field(repr=False)
    title_offsets: NDArray[np.int64] = field(repr=False)
    searchable_titles: NDArray[np.uint8] = field(repr=False)
    item_genres: NDArray[np.bool_] = field(repr=False)
    other_ids: NDArray[np.bytes_] = field(repr=False)
    years: NDArray[np.int32] = field(repr=False)
    available: NDArray[np.int32] = field(repr=False)
    values: NDArray[np.bytes_] = field(repr=False)
    value_offsets: NDArray[np.int64] = field(repr=False)
    value_movies: NDArray[np.int32] = field(repr=False)

    @classmethod
    def of(
        cls,
        item_ids: NDArray[np.bytes_],
        genre_names: tuple[str, ...],
        columns: tuple[str, ...],
        arrays: Arrays,
    ) -> Self:
        """A catalogue of these arrays; what a publication of format 1 lacks is said of no movie."""
        lacking: dict[str, NDArray[Any]] = {
            "searchable_titles": np.empty(0, np.uint8),
            "other_ids": np.empty(0, "S1"),
            "years": np.zeros(len(item_ids), np.int32),
            "available": np.tile(np.array([-OPEN_END, OPEN_END], np.int32), (len(item_ids), 1)),
            "values": np.empty(0, "S1"),
            "value_offsets": np.zeros(1, np.int64),
            "value_movies": np.empty(0, np.int32),
        }
        return cls(item_ids, genre_names, columns, **{**lacking, **arrays})

    def arrays(self) -> Arrays:
        """The arrays that `LAYOUT` names, to be written."""
        return {name: getattr(self, name) for name in LAYOUT}

    def __len__(self) -> int:
        return len(self.item_ids) + len(self.other_ids)

    def movie_id(self, row: int) -> str:
        rated = len(self.item_ids)
        raw = self.item_ids[row] if row < rated else self.other_ids[row - rated]
        return bytes(raw).decode()

    def row(self, movie_id: str) -> int | None:
        """A movie's row, or None."""
        row = row_of(self.item_ids, movie_id)
        if row is None and (other := row_of(self.other_ids, movie_id)) is not None:
            return len(self.item_ids) + other
        return row

    def rows(self, movie_ids: Sequence[str]) -> NDArray[np.int64]:
        """The rows of several movies; unknown ones are left out."""
        rated, others = rows_of(self.item_ids, movie_ids), rows_of(self.other_ids, movie_ids)
        return np.concatenate([rated[rated >= 0], others[others >= 0] + len(self.item_ids)])

    def title(self, row: int) -> str | None:
        start, stop = self.title_offsets[row : row + 2].tolist()
        return self.titles[start:stop].tobytes().decode() or None

    def genres(self, row: int) -> list[str]:
        return [self.genre_names[genre] for genre in np.flatnonzero(self.item_genres[row]).tolist()]

    def year(self, row: int) -> int | None:
        return int(self.years[row]) or None

    @cached_property
    def searchable(self) -> list[str]:
        """Of each movie what queries are looked for in; see `titles.py`."""
        if len(self.searchable_titles):
            return self.searchable_titles.tobytes().decode().split("\0")[:-1]
        return [searchable(self.title(row) or "") for row in range(len(self))]

    def titled(self, rows: Iterable[int], query: str) -> Iterator[int]:
        """Those of the rows whose title a query finds, in their order."""
        wanted, titles = needles(query), self.searchable
        return (row for row in rows if any(needle in titles[row] for needle in wanted))

    @cached_property
    def withdrawn(self) -> NDArray[np.bool_] | None:
        """(C,) movies that have left the catalogue, which no list may contain; None for none."""
        gone = self.available[:, 0] > self.available[:, 1]
        return gone if gone.any() else None

    @cached_property
    def bounded(self) -> bool:
        """Whether there is a movie that is available on some days alone."""
        first, last = self.available.T
        return bool(((first <= last) & ((first > -OPEN_END) | (last < OPEN_END))).any())

    def closed(self, day: int) -> NDArray[np.bool_]:
        """(C,) movies that are not available on a day (UTC, in days since 1970), the withdrawn
        among them; found once a day.
        """
        if day not in self._closed:
            first, last = self.available.T
            self._closed.clear()
            self._closed[day] = (first > day) | (last < day) | (first > last)
        return self._closed[day]

    @cached_property
    def _closed(self) -> dict[int, NDArray[np.bool_]]:
        return {}

    def check_shapes(self, where: str) -> None:
        """Raises BundleError for an array of another dtype or shape than the others ask for."""
        extents = {"C": len(self), "G": len(self.genre_names), "2": 2}
        extents |= {"C + 1": len(self) + 1, "V + 1": len(self.values) + 1}
        for name, (dtype, axes) in LAYOUT.items():
            array: NDArray[Any] = getattr(self, name)
            shape = tuple(extents.get(axis, array.size) for axis in axes)
            kind = "|S" if array.dtype.kind == "S" else array.dtype.str
            if (kind, array.shape) != (dtype, shape):
                text = f"{name} is {kind} {array.shape}, must be {dtype} {shape}"
                raise BundleError(f"{where}: {text}")

    def check_values(self, where: str) -> None:
        """Raises BundleError for values that would break an answer."""

        def demand(holds: bool | np.bool_, what: str) -> None:
            if not holds:
                raise BundleError(f"{where}: {what}")

        for name, end in (("title", len(self.titles)), ("value", len(self.value_movies))):
            offsets: NDArray[np.int64] = getattr(self, f"{name}_offsets")
            rise = offsets[0] == 0 and offsets[-1] == end and (np.diff(offsets) >= 0).all()
            demand(rise, f"{name}_offsets: do not rise from 0 to the end, {end}")
        for row in range(len(self)):
            try:
                self.title(row)
            except UnicodeDecodeError:
                demand(False, f"titles: the title of item row {row} is not UTF-8")
        demand(len(self.searchable) == len(self), "searchable_titles: not one for each movie")
        places, last = self.value_movies, len(self) - 1
        inside = not len(places) or (places.min() >= 0 and places.max() <= last)
        demand(inside, f"value_movies: outside 0..{last}")
        for name in ("other_ids", "values"):
            texts: NDArray[np.bytes_] = getattr(self, name)
            demand((texts[:-1] < texts[1:]).all(), f"{name}: not unique and ascending")
