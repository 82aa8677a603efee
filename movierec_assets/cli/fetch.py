"""`movierec fetch`: a data set into the landing zone, a file a day."""

import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.progress import track

from movierec_assets.cli.refused import refused
from movierec_assets.errors import ChunkError, FetchError
from movierec_assets.ratings.catalogue import parse_movies
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.settings import settings
from movierec_assets.sources.days import cut, movies_csv, span
from movierec_assets.sources.files import format_named, presets, read_file
from movierec_assets.sources.movielens.download import KNOWN, obtain, read_path
from movierec_assets.sources.movielens.reader import Dataset

NOTICE = """\
MovieLens data by GroupLens, University of Minnesota: for research;
no redistribution without permission.
F. Maxwell Harper and Joseph A. Konstan (2015), The MovieLens Datasets: History and Context,
ACM Transactions on Interactive Intelligent Systems 5(4):19, https://doi.org/10.1145/2827872"""


@dataclass(frozen=True)
class Delivery:
    """What a fetch put into the landing zone: its days and ratings, the files that were news, all
    movies.
    """

    first: date
    last: date
    days: int
    written: int
    without_ratings: int
    ratings: int
    movies: int


def fetch(
    source: str | None,
    from_path: Path | None,
    landing: LandingZone,
    cache: Path,
    *,
    console: Console,
    every: float | None = None,
    since: date | None = None,
    until: date | None = None,
    as_of: date | None = None,
    format_name: str | None = None,
) -> Delivery:
    """Deliver a data set to the landing zone, its movies first, then its days ascending.

    What is there already with the same content is left alone, so a fetch that was cut short goes
    on.

    Args:
        source: a name in `KNOWN`; None with `from_path`, an archive, a folder or a file.
        every: seconds to wait after each day that was written.
        since, until: the first and last day to deliver; None for those with ratings.
        as_of: a day whose file also has every rating before it; days before are not delivered.
        format_name: of the file at `from_path`, a known one or a declaration; None for MovieLens.

    Raises:
        FetchError: not one of `source` and `from_path`, a source not in `KNOWN`, or no day in the
        limits.
        ChunkError: the data is not what it should be.
        UnavailableError: it could not be downloaded.
    """
    if (source is None) == (from_path is None) or (source is not None and source not in KNOWN):
        raise FetchError(f"expected one of {', '.join(KNOWN)}, or a path")
    if as_of is not None and since is not None:
        raise FetchError("--as-of delivers all that is before: expected no --since")
    dataset = _dataset(source, from_path, format_name, cache, console)
    days = _days(dataset, since, until, as_of)
    movies = 0 if dataset.movies is None else _deliver_movies(dataset.movies, landing)
    written = empty = rows = 0
    parts = cut(dataset.ratings, days, history=as_of is not None)
    for day, content in track(parts, "delivering days", total=len(days), console=console):
        ratings = content.count(b"\n") - 1
        rows += ratings
        empty += not ratings
        if landing.deliver(day.isoformat(), content):
            written += 1
            if every and day != days[-1]:
                time.sleep(every)
    return Delivery(
        first=days[0],
        last=days[-1],
        days=len(days),
        written=written,
        without_ratings=empty,
        ratings=rows,
        movies=movies,
    )


def _dataset(
    source: str | None,
    from_path: Path | None,
    format_name: str | None,
    cache: Path,
    console: Console,
) -> Dataset:
    if from_path is not None and format_name is not None:
        return Dataset(read_file(from_path, format_named(format_name)), None)
    dataset = read_path(from_path) if from_path else obtain(KNOWN[source or ""], cache, console)
    console.print(NOTICE, markup=False, highlight=False)
    return dataset


def _days(
    dataset: Dataset, since: date | None, until: date | None, as_of: date | None
) -> list[date]:
    days = span(dataset.ratings, since, until)
    if not days:
        raise FetchError("no day of these ratings within the limits")
    if as_of is None:
        return days
    if as_of < days[0]:
        raise FetchError(f"the first rating is of {days[0]}, after {as_of}")
    return [as_of + timedelta(days=n) for n in range(max((days[-1] - as_of).days, 0) + 1)]


def _deliver_movies(movies: pd.DataFrame, landing: LandingZone) -> int:
    catalogue = movies_csv(movies)
    # Read, or refused, before it takes the place of a good one.
    if parse_movies(catalogue, "movies.csv").empty:
        raise ChunkError("movies", "there are none")
    landing.deliver_movies(catalogue)
    return len(movies)


def fetch_command(
    source: Annotated[
        str | None, typer.Argument(help=f"a data set by name: {', '.join(KNOWN)}")
    ] = None,
    from_path: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="a MovieLens archive (.zip) or folder, of any generation; with --format, a file",
        ),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"how that file is written: {', '.join(presets())}, or a declaration (.toml)",
        ),
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="deliver a day at a time, this far apart"),
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="first day to deliver")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="last day to deliver")
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="history in one go: all ratings up to this day become the file of this day",
        ),
    ] = None,
) -> None:
    """Put ratings into the landing zone, a file a day: MovieLens, or a file of another format."""
    console = Console(soft_wrap=True)
    warehouse = settings().warehouse
    landing = LandingZone(path=str(warehouse / "landing"))
    with refused("fetch", ValueError, OSError):
        done = fetch(
            source,
            from_path,
            landing,
            warehouse / "cache",
            console=console,
            every=every,
            since=since and since.date(),
            until=until and until.date(),
            as_of=as_of and as_of.date(),
            format_name=format_name,
        )
    console.print(
        f"{done.ratings:,} ratings, {done.movies:,} movies, {done.days} days, {done.first} to "
        f"{done.last}, "
        f"{done.without_ratings} of them without ratings; files written: {done.written}, to "
        f"{landing.path}",
        highlight=False,
        markup=False,
    )
