"""From a watched table to the landing zone: new rows are taken, cut into days, and delivered.

Three steps, each of which is whole or not at all: rows are taken together with the watermark; what
each day's file has is decided; the files are written. A tick that was killed goes on with the next.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from movierec_assets.errors import TableError
from movierec_assets.ratings.cutting import (
    Mark,
    Row,
    below,
    cut,
    days_of,
    ended_day,
    not_taken,
    place,
)
from movierec_assets.ratings.declaration import Declaration, Table
from movierec_assets.ratings.meaning import seconds_of
from movierec_assets.resources.source_table import SourceTable, opened
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.resources.stores.taken_rows import TakenRows

AHEAD = timedelta(days=1)  # for clocks that differ, and times without a zone
MOST_ROWS, MOST_DAYS = 100_000, 400  # at once: Dagster ends a sensor's tick after 60 s


@dataclass(frozen=True)
class Brought:
    """What one look at a table brought.

    Attributes:
        taken: rows that were new.
        days: what was delivered.
        unmarked: rows that are never read, because they have no watermark.
        all_read: whether the table had no more; else days wait for the next look.
    """

    taken: int
    days: tuple[str, ...]
    unmarked: int
    all_read: bool

    def __str__(self) -> str:
        said = [f"{self.taken:,} new rows"]
        if not self.all_read:
            said.append("more are to be read")
        if self.days:
            said.append(f"delivered {self.days[0]} to {self.days[-1]}")
        if self.unmarked:
            said.append(f"{self.unmarked:,} rows have no watermark and are never read")
        return ", ".join(said)


def bring(
    source: str,
    declared: Declaration,
    table: Table,
    landing_zone: LandingZone,
    state: Path,
    *,
    first: date,
    last: date | None,
    now: datetime,
    most_rows: int = MOST_ROWS,
) -> Brought:
    """Take what is new in a source's table, and deliver the days that have ended.

    Args:
        state: the file of `TakenRows`.
        first: the first day that may be delivered; older rows go into it.
        last: the last one, if there is a last partition; newer rows wait.

    Raises:
        TableError: the table cannot be read, or `state` was lost.
    """
    if not state.exists() and (known := landing_zone.days(source)):
        raise TableError(
            f"{source}: {state} is lost, so what was delivered is not known: restore it from a "
            f"backup; or move landing/{source}/ away, then the whole table is cut into days again, "
            f"which replace those delivered before ({known[0]} to {known[-1]})"
        )
    with TakenRows.open(state) as kept:
        days = _deliver(source, declared, kept, landing_zone)  # what a kill left
        with opened(source, declared) as rows:
            _check_newest(rows.newest(), table, now)
            taken = take(rows, kept, declared, table, most_rows)
            unmarked = rows.without_mark()
        all_read = taken < most_rows
        if all_read:
            ended = ended_day(now, declared.day_zone, timedelta(minutes=table.wait_minutes))
            ended = ended if last is None else min(ended, last.isoformat())
            due = cut(kept.waiting(), kept.delivered, first.isoformat(), ended, MOST_DAYS)
            kept.decide(due)
            days += _deliver(source, declared, kept, landing_zone)
    return Brought(taken, tuple(days), unmarked, all_read)


def _check_newest(newest: Mark | None, table: Table, now: datetime) -> None:
    """That no row is ahead of our clock: what is written after it would be below what was read."""
    if isinstance(newest, datetime) and place(newest) > place(now + AHEAD):
        raise TableError(
            f"the newest {table.watermark} is {newest}, in the future: correct that row, or "
            "declare a view without it. Nothing is read until then"
        )


def take(rows: SourceTable, kept: TakenRows, declared: Declaration, table: Table, most: int) -> int:
    """Keep up to so many new rows, together with how far the table was read; their number.

    Raises:
        TableError: the table begins anew, below what was read.
    """
    with kept.alone():
        since, newest = kept.since, rows.newest()
        if newest is None:
            return 0
        if since is not None and (type(newest) is not type(since) or place(newest) < place(since)):
            raise TableError(
                f"the newest {table.watermark} is {newest}, and {kept.newest} was read: was the "
                "table made anew? New rows below it would never be seen. Declare it as another "
                "source, or let its watermark go on from there"
            )
        new = list(islice(not_taken(rows.rows(since), kept.seen()), most))
        if new:
            before = kept.newest
            last = new[-1].mark if before is None else max(before, new[-1].mark)
            from_ = below(last, table.overlap)
            kept.take(
                list(zip(new, _days(new, declared), strict=True)),
                last,
                from_ if since is None else max(since, from_),
            )
    return len(new)


def _days(rows: list[Row], declared: Declaration) -> list[str]:
    """The business day of each row's rating."""
    times = pd.Series([row.texts[3] for row in rows], dtype=object)
    return days_of(np.asarray(seconds_of(times, declared)), declared.day_zone)


def _deliver(
    source: str, declared: Declaration, kept: TakenRows, landing_zone: LandingZone
) -> list[str]:
    """Write the files that were decided; one that is there already is not written again."""
    days = kept.due()
    for day in days:
        landing_zone.deliver(day, _csv(kept, day, declared), source)
        kept.done(day)
    return days


def _csv(kept: TakenRows, day: str, declared: Declaration) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("user_id", "movie_id", "rating", "timestamp")
    wanted = [place for place, name in enumerate(names) if name in declared.names]
    writer.writerow([declared.names[names[place]] for place in wanted])
    writer.writerows([row[place] for place in wanted] for row in kept.rows_of(day))
    return text.getvalue().encode("utf-8", "surrogatepass")
