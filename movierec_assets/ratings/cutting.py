"""How the rows of a watched table become deliveries: which rows are new, which day each goes into.

What was read and delivered is known from outside (`resources.stores.taken_rows`); these functions
only decide.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Mark = int | datetime  # a value of the watermark column
NO_DAY = ""  # of a row whose time cannot be read

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """One row of a table: its watermark, and user, movie, rating and time as text."""

    mark: Mark
    texts: tuple[str, str, str, str]

    @cached_property
    def digest(self) -> bytes:
        """16 bytes that tell it from other rows; the same for rows that are equal in all."""
        named = json.dumps([str(self.mark), *self.texts], ensure_ascii=False)
        return hashlib.sha256(named.encode("utf-8", "surrogatepass")).digest()[:16]


def place(mark: Mark) -> int:
    """A watermark as a whole number of the same order: itself, or microseconds since 1970."""
    if isinstance(mark, int):
        return mark
    aware = mark if mark.tzinfo is not None else mark.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def below(mark: Mark, overlap: int) -> Mark:
    """The watermark from which the next look begins, so that rows committed late are found."""
    return mark - overlap if isinstance(mark, int) else mark - timedelta(seconds=overlap)


def not_taken(rows: Iterable[Row], taken: Mapping[bytes, int]) -> Iterator[Row]:
    """The rows that were not read before, however often equal ones are among them.

    Args:
        taken: how often a row of each digest was read, of those that may be among `rows`.
    """
    left = Counter(taken)
    for row in rows:
        if left[row.digest] > 0:
            left[row.digest] -= 1
        else:
            yield row


def days_of(seconds: NDArray[np.int64], zone: str) -> list[str]:
    """The day in `zone` of each point in time (seconds since 1970); NO_DAY where it is NaT."""
    known = seconds != np.iinfo(np.int64).min
    last = pd.Timestamp.max.value // 10**9 - 2 * 86_400  # room for any zone
    stamps = pd.to_datetime(np.where(known, np.minimum(seconds, last), 0), unit="s", utc=True)
    days = stamps.tz_convert(zone).tz_localize(None).to_numpy().astype("datetime64[D]").astype(str)
    day_of_row: list[str] = np.where(known, days, NO_DAY).tolist()
    return day_of_row


def ended_day(now: datetime, zone: str, wait: timedelta) -> str:
    """The newest day (ISO) that has ended in `zone`, at least `wait` ago."""
    return ((now - wait).astimezone(ZoneInfo(zone)).date() - timedelta(days=1)).isoformat()


def cut(
    waiting: Iterable[str], delivered: str | None, first: str, ended: str, most: int
) -> dict[str, list[str]]:
    """The days to be delivered now, each with the days of the ratings that go into its delivery.

    A day is delivered once, after its end, also if it has no rows. A row that comes after its day
    was delivered goes into the next delivery. So does one without a readable day, and one that is
    dated later than tomorrow: validation rejects both where a person sees it. What is left waits.

    Args:
        waiting: the days (ISO or NO_DAY) of the rows that are in no delivery yet.
        delivered: the last day that was delivered, None before the first.
        first: the first day that may be delivered; rows of before go into it.
        ended: the newest day that has ended.
        most: so many days at once.
    """
    days, tomorrow = sorted(set(waiting)), _later(ended, 2)
    if delivered is not None:
        start = _later(delivered, 1)
    else:
        over = [day for day in days if NO_DAY < day <= ended]
        never = [day for day in days if day == NO_DAY or day > tomorrow]
        if not (over or never):
            return {}
        start = max(first, over[0] if over else ended)
    last = min(ended, _later(start, most - 1))
    lines_by_day: dict[str, list[str]] = {day: [] for day in _range(start, last)}
    for day in days if lines_by_day else ():
        if day < start or day > tomorrow:
            lines_by_day[start].append(day)
        elif day <= last:
            lines_by_day[day].append(day)
    return lines_by_day


def _later(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def _range(first: str, last: str) -> Iterator[str]:
    day = first
    while day <= last:
        yield day
        day = _later(day, 1)
