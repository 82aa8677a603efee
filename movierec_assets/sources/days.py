"""Many days' ratings cut into the files of single days, and movies as the catalogue has them."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from movierec_assets.errors import ChunkError
from movierec_assets.ratings.catalogue import MOVIE_COLUMNS
from movierec_assets.ratings.chunks import COLUMNS

_EPOCH = date(1970, 1, 1)
_DAY = 86_400  # seconds
_LONGEST = 36_525  # days, a century: more means that the timestamps are not in seconds


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


def cut(
    ratings: Any, days: Sequence[date], *, history: bool = False
) -> Iterator[tuple[date, bytes]]:
    """Cut ratings by UTC day.

    Args:
        days: consecutive, as `span` gives them.
        history: whether the first day also has all ratings before it.

    Yields: Each day with the CSV of its ratings, by timestamp, then as in the source; a day without
        ratings is a header alone.
    """
    seconds = ratings["timestamp"].to_numpy()
    order = np.argsort(seconds, kind="stable")
    first = (days[0] - _EPOCH).days
    cuts = np.searchsorted(seconds, np.arange(first, first + len(days) + 1) * _DAY, sorter=order)
    if history:
        cuts[0] = 0
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


def _csv(ratings: Any) -> bytes:
    text = io.StringIO()
    columns = [ratings[column].to_pylist() for column in COLUMNS]
    csv.writer(text, lineterminator="\n").writerows(zip(*columns, strict=True))
    return text.getvalue().encode()
